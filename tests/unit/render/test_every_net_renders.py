"""Every net in every stage, with every option that changes it: renders, parses, links, and its shapes fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message

from caffeflow.layers.inference import infer
from caffeflow.proto.caffe_pb2 import LabelMap, LayerParameter, NetParameter, SolverParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import Phase, filter_net, net_state
from caffeflow.proto.text import parse
from caffeflow.render.catalog import find_net, net_names
from caffeflow.render.check import check
from caffeflow.render.render import render_in_memory
from tests.golden import regenerate

GOLDEN = Path(regenerate.__file__).parent / "nets"
CASES = list(regenerate.cases())
CLASSIFIERS = [case for case in CASES if find_net(case[1]).task.name == "classification"]
KINDS: dict[str, type[Message]] = {
    "solver": SolverParameter,
    "solver_train": SolverParameter,
    "solver_test": SolverParameter,
    "labelmap": LabelMap,
}
STAGES: tuple[tuple[str, Phase], ...] = (("train_val", "TRAIN"), ("train_val", "TEST"), ("deploy", "TEST"))


def net_of(text: str, phase: Phase) -> NetParameter:
    return filter_net(parse(text, NetParameter(), source="rendered"), net_state(phase))


def layers(net: str, stage: str, *, phase: Phase = "TEST", **variables: str) -> dict[str, LayerParameter]:
    variant = variables.pop("variant", None)
    rendered = render_in_memory(net, variant=variant, assignments=variables)
    return {layer.name: layer for layer in net_of(rendered.texts[f"{stage}.prototxt"], phase).layer}


def test_the_sweep_has_this_size() -> None:
    assert len(net_names()) == 16
    assert (len(CASES), len(CLASSIFIERS)) == (18, 13)
    assert len(list(GOLDEN.glob("*.prototxt"))) == 13 * 3 + 5 * 6


@pytest.mark.parametrize(("golden", "net", "variant"), CLASSIFIERS)
@pytest.mark.parametrize(("stage", "phase"), STAGES)
def test_shapes_fit_and_the_ends_are_a_classifier_s(
    golden: str, net: str, variant: str, stage: str, phase: Phase
) -> None:
    dataset = find_net(net).dataset
    text = render_in_memory(net, variant=variant or None, assignments={"classes": "7"}).texts[
        f"{stage}.prototxt"
    ]
    graph = build_graph(net_of(text, phase))
    shapes = infer(graph, record_shape=lambda _: (dataset.channels, dataset.height, dataset.width))
    outputs = {value.blob: shapes.tops[value] for value in graph.outputs}
    if stage == "deploy":
        assert {name: shape[:2] for name, shape in outputs.items()} == {"prob": (1, 7)}
    else:
        accuracies = {name: shape for name, shape in outputs.items() if name.startswith("accuracy")}
        assert outputs.keys() - accuracies.keys() == {"loss"}
        assert set(accuracies.values()) <= {()}
        assert bool(accuracies) == (phase == "TEST")


@pytest.mark.parametrize(("golden", "net", "variant"), CASES)
def test_defaults_are_the_golden_files_as_messages(golden: str, net: str, variant: str) -> None:
    for stage, text in regenerate.texts(net, variant).items():
        kind = KINDS.get(stage, NetParameter)
        stored = (GOLDEN / f"{golden}.{stage}.prototxt").read_text()
        assert parse(text, kind(), source="rendered") == parse(stored, kind(), source=golden), (
            f"{golden}.{stage} has changed; if that is meant: python -m tests.golden.regenerate"
        )


OPTIONS: list[tuple[str, dict[str, str]]] = [
    ("lenet", {"channels": "3"}),
    ("lenet", {"backend": "imagedata"}),
    ("lenet", {"scale": "0.5", "mean": "33.5"}),
    ("cifar10-quick", {"mean": "values", "mirror": "true"}),
    ("cifar10-quick", {"mean": "104,117,123", "scale": "0.1,0.2,0.3"}),
    ("caffenet", {"top5": "true", "classes": "6"}),
    ("caffenet", {"classes": "2"}),
    ("caffenet", {"backend": "imagedata", "mean": "none"}),
    ("vgg16", {"input_size": "256"}),
    ("vgg16", {"input_size": "320"}),
    *[("mobilenet-v1", {"width": width}) for width in ("0.25", "0.5", "0.75")],
    *[("mobilenet-v1", {"activation": kind}) for kind in ("relu6", "clip")],
    *[("mobilenet-v1", {"conv_engine": engine}) for engine in ("caffe", "cudnn", "default")],
    ("mobilenet-v1", {"scale": "0.016,0.017,0.018"}),
    ("mobilenet-v1", {"channels": "1", "mean": "128"}),
    *[("mobilenet-v2", {"width": width}) for width in ("0.35", "0.5", "0.75", "1.3", "1.4")],
    ("mobilenet-v2", {"input_size": "32"}),
    ("mobilenet-v2", {"input_size": "96x160"}),
    ("mobilenet-v2", {"activation": "relu6"}),
    ("mobilenet-v2", {"variant": "paper", "width": "0.35"}),
    ("mobilenet-v2", {"variant": "paper", "strides": "1,1,1,2,2", "input_size": "64"}),
    ("mobilenet-v2", {"backend": "imagedata", "input_size": "160", "conv_engine": "cudnn"}),
    *[("resnet50", {"variant": "torchvision", "pool": pool}) for pool in ("caffe", "floor", "slice")],
    *[
        ("resnet50", {"variant": "torchvision", "input_size": size})
        for size in ("200", "225", "224x226", "226x224")
    ],
    ("resnet50", {"width": "0.5"}),
    *[
        (net, {"input_size": "32", "classes": "10"})
        for net in (
            "mobilenet-v1",
            "resnet50",
            "regnetx-400mf",
            "regnetx-800mf",
            "regnetx-1.6gf",
            "regnetx-3.2gf",
        )
    ],
    ("resnet50", {"variant": "torchvision", "input_size": "32", "classes": "100"}),
    ("resnet50", {"variant": "torchvision", "input_size": "64", "strides": "1,2,2,2", "conv1_kernel": "3"}),
    ("regnetx-800mf", {"input_size": "64", "strides": "1,2,2,2,2"}),
    ("resnet50", {"activation": "clip", "mean": "file"}),
    ("regnetx-400mf", {"activation": "relu6", "conv_engine": "caffe"}),
    ("regnetx-1.6gf", {"input_size": "160", "scale": "0.1,0.2,0.3"}),
    *[("lenet", {"solver.type": kind}) for kind in ("Nesterov", "Adam", "RMSProp", "AdaGrad", "AdaDelta")],
    *[("lenet", {"lr_policy": policy}) for policy in ("fixed", "step", "multistep", "poly")],
    ("lenet", {"lr_policy": "exp", "gamma": "0.999"}),
    ("lenet", {"lr_policy": "sigmoid", "gamma": "-0.01"}),
    ("caffenet", {"epochs": "3", "batch_size": "128", "clip_gradients": "35", "random_seed": "7"}),
    ("vgg16", {"test_initialization": "false", "mode": "GPU", "iter_size": "3"}),
]


def test_the_options_swept_are_this_many() -> None:
    assert len(OPTIONS) == 64


@pytest.mark.parametrize(("net", "options"), OPTIONS)
def test_options_give_nets_that_caffe_would_take(net: str, options: dict[str, Any]) -> None:
    options = dict(options)
    rendered = render_in_memory(net, variant=options.pop("variant", None), assignments=options)
    dataset = rendered.resolution.dataset
    record = (rendered.resolution["net.channels"], dataset.height or 0, dataset.width or 0)
    assert check(rendered.texts, out_dir=Path("models"), record_shape=record).macs > 0


@pytest.mark.parametrize(("golden", "net", "variant"), CLASSIFIERS)
def test_nothing_that_plain_caffe_lacks_stands_in_a_default(golden: str, net: str, variant: str) -> None:
    for stage in ("train_val", "deploy"):
        types = {layer.type for layer in net_of(regenerate.texts(net, variant)[stage], "TRAIN").layer}
        assert "ReLU6" not in types
        assert "round_mode" not in regenerate.texts(net, variant)[stage]


@pytest.mark.parametrize(("golden", "net", "variant"), CLASSIFIERS)
def test_both_stages_have_the_same_body(golden: str, net: str, variant: str) -> None:
    texts = regenerate.texts(net, variant)
    bodies = []
    for stage in ("train_val", "deploy"):
        kept = [layer for layer in net_of(texts[stage], "TEST").layer if layer.type not in ENDS]
        for layer in kept:
            # The one difference: deploy says that BatchNorm uses its stored statistics.
            layer.ClearField("batch_norm_param")
        bodies.append(kept)
    assert bodies[0] == bodies[1]
    assert len(bodies[0]) >= 7


ENDS = {"Data", "Input", "Accuracy", "SoftmaxWithLoss", "Softmax"}


def test_batch_norm_learns_in_training_and_is_frozen_in_deploy() -> None:
    for stage, phase, expected in (("train_val", "TRAIN", False), ("deploy", "TEST", True)):
        text = render_in_memory("mobilenet-v1").texts[f"{stage}.prototxt"]
        norms = [layer for layer in net_of(text, phase).layer if layer.type == "BatchNorm"]
        assert len(norms) == 27
        assert {layer.batch_norm_param.use_global_stats for layer in norms} == {expected}


@pytest.mark.parametrize(("kind", "type_name"), [("relu", "ReLU"), ("relu6", "ReLU6"), ("clip", "Clip")])
def test_activation_is_spelt_as_asked(kind: str, type_name: str) -> None:
    found = [
        layer for name, layer in layers("mobilenet-v2", "deploy", activation=kind).items() if "relu" in name
    ]
    assert {layer.type for layer in found} == {type_name}
    assert len(found) == 36
    if kind == "clip":
        assert all((layer.clip_param.min, layer.clip_param.max) == (0, 6) for layer in found)


@pytest.mark.parametrize(("engine", "value"), [("caffe", 1), ("cudnn", 2), ("default", 0)])
def test_conv_engine_stands_on_depthwise_convolutions_only(engine: str, value: int) -> None:
    for layer in layers("mobilenet-v1", "train_val", conv_engine=engine).values():
        if layer.type == "Convolution":
            assert layer.convolution_param.engine == (value if layer.convolution_param.group > 1 else 0)


def test_scale_per_channel_is_a_frozen_depthwise_layer_after_the_data() -> None:
    for stage in ("train_val", "deploy"):
        found = layers("cifar10-quick", stage, scale="0.1,0.2,0.3")
        scale = found["data_scale"]
        assert (scale.bottom[0], scale.top[0]) == ("data_raw", "data")
        assert list(scale.blobs[0].data) == pytest.approx([0.1, 0.2, 0.3])
        assert list(scale.blobs[0].shape.dim) == [3, 1, 1, 1]
        assert scale.convolution_param.group == 3
        assert (scale.param[0].lr_mult, scale.param[0].decay_mult) == (0, 0)
        assert found["conv1"].bottom[0] == "data"
    assert not layers("cifar10-quick", "train_val", scale="0.1,0.2,0.3")["cifar"].transform_param.HasField(
        "scale"
    )


def test_pooling_of_torchvision_s_resnet_gives_its_rows() -> None:
    for pool, rows in (("caffe", 57), ("floor", 56), ("slice", 56)):
        text = render_in_memory("resnet50", variant="torchvision", assignments={"pool": pool}).texts[
            "deploy.prototxt"
        ]
        graph = build_graph(net_of(text, "TEST"))
        assert infer(graph).tops[graph.last("pool1")][2:] == (rows, rows), pool


def side_of_last_map(net: str, size: str, variant: str | None) -> int:
    text = render_in_memory(net, variant=variant, assignments={"input_size": size}).texts["deploy.prototxt"]
    shapes = infer(build_graph(net_of(text, "TEST")))
    pool = [layer for layer in shapes.layers if layer.spec.type == "Pooling"][-1]
    return pool.bottoms[0][2]


@pytest.mark.parametrize(
    ("net", "variant", "sides"),
    [
        ("mobilenet-v1", None, {"224": 7, "49": 2, "48": 3, "32": 2}),
        ("mobilenet-v2", "shicai", {"224": 7, "64": 2, "32": 4}),
        ("mobilenet-v2", "paper", {"224": 7, "64": 2, "32": 4}),
        ("resnet50", "he", {"224": 7, "64": 2, "32": 4}),
        ("resnet50", "torchvision", {"224": 7, "64": 2, "32": 4}),
        ("regnetx-800mf", None, {"224": 7, "64": 2, "32": 8}),
    ],
)
def test_small_inputs_are_shrunk_less(net: str, variant: str | None, sides: dict[str, int]) -> None:
    assert {size: side_of_last_map(net, size, variant) for size in sides} == sides


def test_resnet_s_cifar_stem_is_a_small_convolution_without_pooling() -> None:
    small = layers("resnet50", "deploy", input_size="32")
    stem = small["conv1"].convolution_param
    assert (list(stem.kernel_size), list(stem.stride), list(stem.pad)) == ([3], [], [1])
    assert "pool1" not in small
    assert small["res2a_branch1"].bottom == ["conv1"]


def test_strides_given_win_over_those_for_small_inputs() -> None:
    given = layers("mobilenet-v1", "deploy", input_size="32", strides="2,1,2,2,2")
    strides = [list(given[name].convolution_param.stride) for name in ("conv1", "conv2_2/dw", "conv3_2/dw")]
    assert strides == [[2], [], [2]]


@pytest.mark.parametrize(
    ("net", "options", "words"),
    [
        ("lenet", {"classes": "0"}, r"net\.classes: 0 is too small; expected at least 2"),
        ("caffenet", {"top5": "true", "classes": "5"}, "needs more than five classes; net.classes is 5"),
        ("mobilenet-v2", {"strides": "1,1"}, r"net\.strides: expected 5 numbers, found 2"),
        ("resnet50", {"pool": "slice"}, "only the variant torchvision pads"),
        ("mobilenet-v1", {"width": "0.3"}, r"expected one of 0\.25, 0\.5, 0\.75, 1\.0"),
        ("lenet", {"width": "1"}, "net 'lenet' has no variable 'width'"),
        ("lenet", {"scale": "1,2,3"}, "data.scale has 3 numbers for 1 channel; give one"),
        ("cifar10-quick", {"scale": "1,2"}, "data.scale has 2 numbers for 3 channels; give one or 3"),
        ("cifar10-quick", {"mean": "1,2"}, "data.mean_values has 2 numbers for 3 channels"),
        ("cifar10-quick", {"mean": "flie"}, "'flie' is not one of file, values, none, or numbers"),
        ("lenet", {"resize": "32"}, "data.resize works for backend imagedata only"),
        ("lenet", {"crop_size": "24"}, "data.crop_size is 24, but an input of 28x28 needs 0"),
        ("lenet", {"max_iter": "5", "epochs": "5"}, "both given; give one"),
        ("lenet", {"lr_policy": "exp"}, "needs solver.gamma"),
        ("lenet", {"lr_policy": "fixed", "gamma": "1"}, "does not read solver.gamma"),
        ("lenet", {"solver.type": "RMSProp", "momentum": "0.9"}, "RMSProp refuses momentum"),
        ("caffenet", {"backend": "imagedata", "resize": "200"}, "227x227 is larger than the images of 'imagenet', 200x200"),
    ],
)  # fmt: skip
def test_combinations_that_make_no_sense_are_refused(net: str, options: dict[str, str], words: str) -> None:
    from caffeflow.errors import TemplateError

    with pytest.raises(TemplateError, match=words):
        render_in_memory(net, assignments=options)
