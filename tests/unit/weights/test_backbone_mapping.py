from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from caffeflow.errors import WeightsError
from caffeflow.layers.inference import NetShapes, infer
from caffeflow.proto.binary import LayerArrays
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import Graph, build_graph
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import parse
from caffeflow.weights.backbone import Mapped, map_backbone, norms_of
from caffeflow.weights.surgery import affine_of, decimate, fold

INPUT = 'layer { name: "in" type: "Input" top: "in" input_param { shape { dim: 2 dim: 3 dim: 11 dim: 13 } } }'
CLASSIFIER = """
layer { name: "a" type: "Convolution" bottom: "in" top: "a"
  convolution_param { num_output: 5 kernel_size: 3 bias_term: false } }
layer { name: "a/norm" type: "BatchNorm" bottom: "a" top: "a/norm" batch_norm_param { eps: 0.01 } }
layer { name: "a/gain" type: "Scale" bottom: "a/norm" top: "a/norm" scale_param { bias_term: true } }
layer { name: "fc" type: "InnerProduct" bottom: "a/norm" top: "fc" inner_product_param { num_output: 7 } }
"""
PLAIN = """
layer { name: "b" type: "Convolution" bottom: "in" top: "b"
  convolution_param { num_output: 5 kernel_size: 3 } }
layer { name: "head" type: "Convolution" bottom: "b" top: "head"
  convolution_param { num_output: 2 kernel_size: 1 } }
"""
NORMALISED = """
layer { name: "b" type: "Convolution" bottom: "in" top: "b/all"
  convolution_param { num_output: 5 kernel_size: 3 pad: 2 bias_term: false } }
layer { name: "cut" type: "Slice" bottom: "b/all" top: "b/margin" top: "b" slice_param { axis: 2 slice_point: 1 } }
layer { name: "b/bn" type: "BatchNorm" bottom: "b" top: "b" batch_norm_param { eps: 0.002 } }
layer { name: "b/scale" type: "Scale" bottom: "b" top: "b" scale_param { bias_term: true } }
"""


def graph_of(text: str) -> Graph:
    net = parse(INPUT + text, NetParameter(), source="test")
    return build_graph(filter_net(net, net_state("TEST")))


def shapes_of(text: str) -> NetShapes:
    return infer(graph_of(text))


def weights_of(text: str) -> dict[str, LayerArrays]:
    rng = np.random.default_rng(5)
    made = {}
    for facts in shapes_of(text).layers:
        arrays = tuple(rng.uniform(0.5, 2, blob.shape).astype(np.float32) for blob in facts.blobs)
        made[facts.name] = LayerArrays(facts.name, facts.spec.type, (), (), arrays)
    return made


def mapped(
    target: str,
    source: Mapping[str, LayerArrays],
    *,
    names: Mapping[str, str] | None = None,
    windows: Mapping[str, tuple[int, ...]] | None = None,
    classifier: str = CLASSIFIER,
) -> Mapped:
    return map_backbone(
        list(source.values()),
        names=names or {"b": "a"},
        windows=windows or {},
        norms_there=norms_of(graph_of(classifier)),
        norms_here=norms_of(graph_of(target)),
        shapes=shapes_of(target),
    )


def test_what_follows_a_convolution_is_found_in_the_graph() -> None:
    (norm,) = norms_of(graph_of(CLASSIFIER)).values()
    assert (norm.batch_norm, norm.scale, norm.eps) == ("a/norm", "a/gain", pytest.approx(0.01))
    assert norms_of(graph_of(PLAIN)) == {}
    (behind_slice,) = norms_of(graph_of(NORMALISED)).items()
    assert (behind_slice[0], behind_slice[1].batch_norm, behind_slice[1].scale) == ("b", "b/bn", "b/scale")


def test_a_net_without_batch_norm_gets_it_folded() -> None:
    source = weights_of(CLASSIFIER)
    result = mapped(PLAIN, source)
    assert [(row.layer, row.sources, row.how) for row in result.rows] == [
        ("b", ("a", "a/norm", "a/gain"), "folded")
    ]
    assert (result.new, result.unused) == (("head",), ("fc",))
    wanted = fold(source["a"].arrays, affine_of(source["a/norm"], source["a/gain"], eps=0.01))
    (layer,) = result.layers
    assert (layer.name, layer.type, layer.bottoms, layer.tops) == ("b", "Convolution", ("in",), ("b",))
    for array, expected in zip(layer.arrays, wanted, strict=True):
        np.testing.assert_allclose(array, expected, rtol=1e-6)


def test_a_net_with_batch_norm_gets_both_and_keeps_what_its_eps_would_change() -> None:
    source = weights_of(CLASSIFIER)
    result = mapped(NORMALISED, source)
    assert [(row.layer, row.sources, row.how) for row in result.rows] == [
        ("b", ("a",), "copied"), ("b/bn", ("a/norm",), "copied"), ("b/scale", ("a/gain",), "copied")
    ]  # fmt: skip
    layers = {layer.name: layer for layer in result.layers}
    np.testing.assert_array_equal(layers["b"].arrays[0], source["a"].arrays[0])
    here = affine_of(layers["b/bn"], layers["b/scale"], eps=0.002)
    there = affine_of(source["a/norm"], source["a/gain"], eps=0.01)
    np.testing.assert_allclose(here.factor, there.factor, rtol=1e-6)
    np.testing.assert_allclose(here.shift, there.shift, rtol=1e-6)


def test_a_file_with_merged_batch_norm_is_copied() -> None:
    source = weights_of(PLAIN.replace('"b"', '"a"'))
    result = mapped(PLAIN, source)
    assert [(row.layer, row.how) for row in result.rows] == [("b", "copied")]
    np.testing.assert_array_equal(result.layers[0].arrays[1], source["a"].arrays[1])


def test_a_file_with_merged_batch_norm_does_not_fit_a_net_with_it() -> None:
    source = weights_of(
        PLAIN.replace('"b"', '"a"').replace("num_output: 5", "bias_term: false num_output: 5")
    )
    with pytest.raises(WeightsError, match=r"'b' is normalised by 'b/bn'.*no such layers behind 'a'"):
        mapped(NORMALISED, source)


FULLY_CONNECTED = """
layer { name: "pool" type: "Convolution" bottom: "in" top: "pool"
  convolution_param { num_output: 3 kernel_h: 5 kernel_w: 7 } }
layer { name: "fc6" type: "InnerProduct" bottom: "pool" top: "fc6" inner_product_param { num_output: 8 } }
layer { name: "fc7" type: "InnerProduct" bottom: "fc6" top: "fc7" inner_product_param { num_output: 8 } }
"""
DILATED = """
layer { name: "pool" type: "Convolution" bottom: "in" top: "pool"
  convolution_param { num_output: 3 kernel_size: 1 } }
layer { name: "fc6" type: "Convolution" bottom: "pool" top: "fc6"
  convolution_param { num_output: 2 kernel_size: 3 dilation: 3 pad: 3 } }
layer { name: "fc7" type: "Convolution" bottom: "fc6" top: "fc7"
  convolution_param { num_output: 2 kernel_size: 1 } }
"""
FC = {"fc6": "fc6", "fc7": "fc7"}
WINDOWS = {"fc6": (3, 7, 7), "fc7": (8, 1, 1)}


@pytest.mark.parametrize("is_legacy", [False, True])
def test_fully_connected_layers_become_dilated_convolutions(is_legacy: bool) -> None:
    source = weights_of(FULLY_CONNECTED)
    full = {name: source[name].arrays for name in FC}
    if is_legacy:  # as VGG's file has them
        for name, (weight, bias) in full.items():
            arrays = (weight.reshape(1, 1, *weight.shape), bias.reshape(1, 1, 1, -1))
            source[name] = LayerArrays(name, "InnerProduct", (), (), arrays)
    result = mapped(DILATED, source, names=FC, windows=WINDOWS, classifier=FULLY_CONNECTED)
    assert [(row.layer, row.how) for row in result.rows] == [("fc6", "converted"), ("fc7", "converted")]
    six, seven = (layer.arrays for layer in result.layers)
    np.testing.assert_array_equal(six[0], decimate(full["fc6"][0].reshape(8, 3, 7, 7), (2, 3, 3, 3)))
    np.testing.assert_array_equal(six[1], full["fc6"][1][[0, 4]])
    np.testing.assert_array_equal(seven[0].reshape(2, 2), full["fc7"][0][np.ix_([0, 4], [0, 4])])


def test_layers_that_are_thin_already_are_copied() -> None:
    source = weights_of(DILATED)
    result = mapped(DILATED, source, names=FC, windows=WINDOWS, classifier=FULLY_CONNECTED)
    assert [row.how for row in result.rows] == ["copied", "copied"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("num_output: 5 kernel_size: 3", "num_output: 7 kernel_size: 3"),
            r"'b' of the net has blobs 5 3 3 3",
        ),
        (("kernel_size: 3", "kernel_size: 1"), "differ in width or in biases"),
    ],
)
def test_a_file_of_another_size_is_refused(change: tuple[str, str], message: str) -> None:
    source = weights_of(CLASSIFIER.replace(*change))
    with pytest.raises(WeightsError, match=message):
        mapped(PLAIN, source)


def test_a_net_that_lacks_the_layer_is_refused() -> None:
    with pytest.raises(WeightsError, match="no layer 'conv'"):
        mapped(PLAIN, weights_of(CLASSIFIER), names={"conv": "a"})
