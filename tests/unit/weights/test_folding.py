"""What folds computes the same; what would not, stays and says why. The embedded engine runs both nets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from caffeflow.engine.net import Net
from caffeflow.engine.synthetic import synthetic_feeds
from caffeflow.errors import WeightsError
from caffeflow.layers.inference import infer
from caffeflow.proto.binary import LayerArrays
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.text import parse
from caffeflow.weights.folding import Folded, fold_net
from caffeflow.workflows.same_outputs import compare_nets

INPUT = 'layer { name: "data" type: "Input" top: "x" input_param { shape { dim: 2 dim: 6 dim: 5 dim: 7 } } }'
RELU = 'layer { name: "relu" type: "ReLU" bottom: "%s" top: "%s" }'


def layer(name: str, type_: str, bottom: str, top: str, settings: str = "") -> str:
    return f'layer {{ name: "{name}" type: "{type_}" bottom: "{bottom}" top: "{top}" {settings} }}'


def conv(name: str, bottom: str, top: str, settings: str, more: str = "", type_: str = "Convolution") -> str:
    return layer(name, type_, bottom, top, f"convolution_param {{ {settings} }} {more}")


def bn(bottom: str, top: str, name: str = "bn", more: str = "") -> str:
    return layer(name, "BatchNorm", bottom, top, f"batch_norm_param {{ eps: 0.002 {more} }}")


def scale(bottom: str, top: str, settings: str = "bias_term: true", name: str = "scale") -> str:
    return layer(name, "Scale", bottom, top, f"scale_param {{ {settings} }}")


@dataclass
class Case:
    net: NetParameter
    layers: list[LayerArrays]
    folded: Folded

    @property
    def went(self) -> dict[str, str]:
        return {row.layer: row.into for row in self.folded.rows}

    def reason(self, name: str) -> str:
        return next(row.reason for row in self.folded.rows if row.layer == name)

    def worst(self) -> float:
        before, after = net_of(self.net), net_of(self.folded.net)
        before.load(self.layers)
        assert not after.load(self.folded.layers).new
        found = compare_nets(before, after, [synthetic_feeds(before, seed=3)])
        assert all(each.largest > 0 for each in found)
        return max(each.relative for each in found)


def net_of(net: NetParameter) -> Net:
    graph = build_graph(net)
    return Net(graph, infer(graph), seed=None)


def case(*layers: str, shift: bool = True) -> Case:
    net = parse("\n".join((INPUT, *layers)), NetParameter(), source="test")
    arrays = random_arrays(net, shift=shift)
    return Case(net, arrays, fold_net(net, arrays))


def random_arrays(net: NetParameter, *, shift: bool) -> list[LayerArrays]:
    rng = np.random.default_rng(5)
    found = []
    for each in infer(build_graph(net)).layers:
        arrays = [rng.normal(size=blob.shape).astype(np.float32) for blob in each.blobs]
        if each.spec.type == "BatchNorm":
            arrays[0] *= 3 * shift
            arrays[1], arrays[2] = np.abs(arrays[1]) + 0.5, np.array([2.5], np.float32)
        message = each.node.layer
        found.append(
            LayerArrays(each.name, message.type, tuple(message.bottom), tuple(message.top), tuple(arrays))
        )
    return found


AFTER = {
    "in place": (conv("c", "x", "c", "num_output: 4 kernel_size: 3 pad: 1"), bn("c", "c"), scale("c", "c")),
    "own tops": (conv("c", "x", "c", "num_output: 4 kernel_size: 3"), bn("c", "b"), scale("b", "s"),
                 RELU % ("s", "s"), conv("d", "s", "d", "num_output: 3 kernel_size: 1")),
    "norm alone": (conv("c", "x", "c", "num_output: 4 kernel_size: 2 bias_term: false"), bn("c", "b")),
    "scale alone": (conv("c", "x", "c", "num_output: 4 kernel_size: 2"), scale("c", "c", "")),
    "bias layer": (conv("c", "x", "c", "num_output: 4 kernel_size: 2 bias_term: false"),
                   layer("plus", "Bias", "c", "c")),
    "one factor for all": (conv("c", "x", "c", "num_output: 4 kernel_size: 2"),
                           scale("c", "c", "axis: 0 num_axes: 0 bias_term: true")),
    "groups": (conv("c", "x", "c", "num_output: 4 kernel_size: 3 group: 2"), bn("c", "c"), scale("c", "c")),
    "depthwise": (conv("c", "x", "c", "kernel_size: 3 num_output: 6", type_="DepthwiseConvolution"), bn("c", "c")),
    "deconvolution": (conv("c", "x", "c", "num_output: 4 kernel_size: 3 stride: 2", type_="Deconvolution"),
                      bn("c", "c"), scale("c", "c")),
    "grouped deconvolution": (conv("c", "x", "c", "num_output: 4 kernel_size: 3 group: 2 bias_term: false",
                                   type_="Deconvolution"), bn("c", "c")),
    "inner product": (layer("c", "InnerProduct", "x", "c", "inner_product_param { num_output: 5 }"), bn("c", "c"),
                      scale("c", "c")),
    "transposed": (layer("c", "InnerProduct", "x", "c",
                         "inner_product_param { num_output: 5 transpose: true bias_term: false }"), bn("c", "c")),
    "past a slice": (conv("c", "x", "c", "num_output: 4 kernel_size: 3 pad: 1"),
                     'layer { name: "cut" type: "Slice" bottom: "c" top: "m" top: "k" slice_param { axis: 2 slice_point: 1 } }',
                     'layer { name: "hush" type: "Silence" bottom: "m" }', bn("k", "b"), scale("b", "b"),
                     RELU % ("b", "b")),
}  # fmt: skip

BEFORE = {
    "convolution": (conv("c", "x", "c", "num_output: 4 kernel_size: 3"),),
    "pointwise": (conv("c", "x", "c", "num_output: 4 kernel_size: 1 stride: 2 bias_term: false"),),
    "groups": (conv("c", "x", "c", "num_output: 4 kernel_size: 3 group: 2"),),
    "depthwise": (conv("c", "x", "c", "kernel_size: 2 num_output: 6", type_="ConvolutionDepthwise"),),
    "several filters a channel": (conv("c", "x", "c", "kernel_size: 2 num_output: 12", type_="DepthwiseConvolution"),),
    "pointwise deconvolution": (conv("c", "x", "c", "num_output: 4 kernel_size: 1 group: 2", type_="Deconvolution"),),
    "inner product": (layer("c", "InnerProduct", "x", "c", "inner_product_param { num_output: 5 }"),),
    "transposed": (layer("c", "InnerProduct", "x", "c",
                         "inner_product_param { num_output: 5 transpose: true bias_term: false }"),),
}  # fmt: skip


@pytest.mark.parametrize("name", AFTER)
def test_what_stands_behind_a_weighted_layer_folds(name: str) -> None:
    made = case(*AFTER[name])
    assert set(made.went.values()) == {"c"}
    assert not {each.type for each in made.folded.net.layer} & {"BatchNorm", "Scale", "Bias"}
    assert made.worst() < 2e-6


@pytest.mark.parametrize("name", BEFORE)
@pytest.mark.parametrize("in_place", [True, False])
def test_what_stands_before_a_weighted_layer_folds(name: str, in_place: bool) -> None:
    top = "x" if in_place else "y"
    (weighted,) = BEFORE[name]
    weighted = weighted.replace('bottom: "x"', f'bottom: "{top}"')
    made = case(bn("x", top), scale(top, top), weighted)
    assert made.went == {"bn": "c", "scale": "c"}
    assert {row.side for row in made.folded.rows} == {"before"}
    assert [each.type for each in made.folded.net.layer][1:] == [made.net.layer[-1].type]
    assert made.worst() < 2e-6


PADDED = conv("c", "x", "c", "num_output: 4 kernel_size: 3 pad: 1")


def test_a_shift_is_not_folded_into_a_padded_convolution_and_channels_are_named() -> None:
    made = case(bn("x", "x"), PADDED)
    assert made.went == {"bn": ""}
    assert "'c' pads with zeros" in made.reason("bn")
    assert "6 of 6 channels" in made.reason("bn")
    assert len(made.folded.net.layer) == 3
    assert made.worst() == 0


@pytest.mark.parametrize(
    "weighted",
    [PADDED, conv("c", "x", "c", "num_output: 4 kernel_size: 3 stride: 2 pad: 1", type_="Deconvolution")],
)
def test_factors_without_shift_are_folded_into_any_convolution(weighted: str) -> None:
    made = case(bn("x", "x"), scale("x", "x", ""), weighted, shift=False)
    assert made.went == {"bn": "c", "scale": "c"}
    assert made.worst() < 2e-6


def test_a_shift_before_a_spreading_deconvolution_stays() -> None:
    made = case(bn("x", "x"), conv("c", "x", "c", "num_output: 4 kernel_size: 3", type_="Deconvolution"))
    assert "spreads its kernel" in made.reason("bn")


def test_between_two_weighted_layers_it_goes_into_the_first() -> None:
    made = case(conv("a", "x", "a", "num_output: 4 kernel_size: 1"), bn("a", "b"),
                conv("c", "b", "c", "num_output: 3 kernel_size: 1"))  # fmt: skip
    assert made.went == {"bn": "a"}
    assert list(made.folded.net.layer[2].bottom) == ["a"]


def test_an_outputs_name_stays() -> None:
    made = case(conv("c", "x", "c", "num_output: 4 kernel_size: 1"), bn("c", "b"), scale("b", "out"))
    assert list(made.folded.net.layer[1].top) == ["out"]
    assert made.worst() < 2e-6


STAYS = {
    "read by others": ((conv("c", "x", "c", "num_output: 4 kernel_size: 1"), bn("c", "b"), RELU % ("c", "r")),
                       "read by others"),
    "a relu between": ((conv("c", "x", "c", "num_output: 4 kernel_size: 1"), RELU % ("c", "c"), bn("c", "b")),
                       "behind no layer with weights"),
    "batch statistics": ((conv("c", "x", "c", "num_output: 4 kernel_size: 1"),
                          bn("c", "c", more="use_global_stats: false")), "each batch's own"),
    "another axis": ((conv("c", "x", "c", "num_output: 4 kernel_size: 1"), scale("c", "c", "axis: 2")), "axis 2"),
    "all places": ((conv("c", "x", "c", "num_output: 4 kernel_size: 1"), scale("c", "c", "num_axes: -1", "bn")),
                   "140 values for the 4 channels"),
    "rows": ((layer("c", "InnerProduct", "x", "c", "inner_product_param { num_output: 5 axis: 2 }"),
              bn("c", "c")), "axis 2"),
    "shared weights": ((conv("c", "x", "c", "num_output: 6 kernel_size: 1", 'param { name: "w" }'), bn("c", "c"),
                        conv("d", "c", "d", "num_output: 6 kernel_size: 1", 'param { name: "w" }')),
                       "shares its param 'w'"),
}  # fmt: skip


@pytest.mark.parametrize("name", STAYS)
def test_what_cannot_fold_stays_with_its_reason(name: str) -> None:
    layers, expected = STAYS[name]
    made = case(*layers)
    assert not any(made.went.values())
    assert any(expected in row.reason for row in made.folded.rows), made.folded.rows
    assert made.folded.net.layer == made.net.layer


def test_a_scale_that_takes_its_factors_from_a_blob_stays() -> None:
    two = 'layer { name: "s" type: "Scale" bottom: "c" bottom: "f" top: "s" scale_param { axis: 0 } }'
    made = case(conv("c", "x", "c", "num_output: 6 kernel_size: 1"), conv("f", "x", "f", "num_output: 6 kernel_size: 1"),
                two)  # fmt: skip
    assert "second bottom" in made.reason("s")


def test_a_factor_of_zero_makes_statistics_zero_as_caffe_does() -> None:
    net = parse("\n".join((INPUT, conv("c", "x", "c", "num_output: 4 kernel_size: 1"), bn("c", "c"))),
                NetParameter(), source="test")  # fmt: skip
    arrays = random_arrays(net, shift=True)
    arrays[2] = LayerArrays(
        "bn", "BatchNorm", ("c",), ("c",), (*arrays[2].arrays[:2], np.zeros(1, np.float32))
    )
    folded = fold_net(net, arrays)
    np.testing.assert_allclose(
        folded.layers[1].arrays[0], arrays[1].arrays[0] / np.sqrt(np.float32(0.002)), rtol=1e-6
    )


def test_a_bias_appears_where_there_was_none_and_only_where_it_is_needed() -> None:
    frozen = "param { lr_mult: 0 decay_mult: 1 }"
    bare = conv("c", "x", "c", "num_output: 4 kernel_size: 1 bias_term: false", frozen)
    made = case(bare, bn("c", "c"))
    (weighted,) = made.folded.net.layer[1:]
    assert weighted.convolution_param.bias_term
    assert [param.lr_mult for param in weighted.param] == [0, 0]
    assert [array.shape for array in made.folded.layers[1].arrays] == [(4, 6, 1, 1), (4,)]
    without = case(bare, scale("c", "c", ""))
    assert not without.folded.net.layer[1].convolution_param.bias_term
    assert len(without.folded.layers[1].arrays) == 1


def test_nothing_that_was_given_is_changed() -> None:
    net = parse("\n".join((INPUT, *AFTER["own tops"])), NetParameter(), source="test")
    arrays = random_arrays(net, shift=True)
    before, values = net.SerializeToString(), [array.copy() for each in arrays for array in each.arrays]
    fold_net(net, arrays)
    assert net.SerializeToString() == before
    for old, new in zip(values, (array for each in arrays for array in each.arrays), strict=True):
        np.testing.assert_array_equal(old, new)


def test_blobs_of_old_files_fold() -> None:
    net = parse("\n".join((INPUT, *AFTER["inner product"])), NetParameter(), source="test")
    arrays = random_arrays(net, shift=True)
    product = arrays[1].arrays
    old = (product[0].reshape(1, 1, *product[0].shape), product[1].reshape(1, 1, 1, -1))
    arrays[1] = LayerArrays("c", "InnerProduct", ("x",), ("c",), old)
    assert Case(net, arrays, fold_net(net, arrays)).worst() < 2e-6


@pytest.mark.parametrize("spoil", ["missing", "blobs", "width"])
def test_weights_of_another_net_are_an_error_of_a_line(spoil: str) -> None:
    net = parse("\n".join((INPUT, *AFTER["in place"])), NetParameter(), source="test")
    arrays = random_arrays(net, shift=True)
    weighted = arrays[1]
    if spoil == "missing":
        del arrays[1]
    else:
        kept = weighted.arrays[:1] if spoil == "blobs" else (weighted.arrays[0][:3], weighted.arrays[1][:3])
        arrays[1] = LayerArrays("c", "Convolution", (), (), kept)
    with pytest.raises(WeightsError, match=r"layer 'c'.*weights diff") as caught:
        fold_net(net, arrays)
    assert "\n" not in str(caught.value)
