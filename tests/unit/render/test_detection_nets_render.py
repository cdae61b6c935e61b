"""Detection nets: all options render and fit, and each does to the net what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from caffeflow.errors import TemplateError
from caffeflow.layers.inference import infer
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter, SolverParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.legacy import upgrade_net
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import parse
from caffeflow.render.catalog import find_net, net_names
from caffeflow.render.check import check
from caffeflow.render.render import render_in_memory

NETS = [name for name in net_names() if find_net(name).task.name == "detection"]
STAGES = ("train", "test", "deploy")
OURS = ("ssdlite-coco", "ssdlite-voc", "ssd-small")

OPTIONS: list[tuple[str, dict[str, str]]] = [
    *[(net, {"classes": "3"}) for net in NETS],
    *[(net, {"classes": "1", "input_size": "300x600"}) for net in NETS],
    *[("ssdlite-voc", {"padding": kind, "input_size": size}) for kind in ("slice", "tf", "caffe")
      for size in ("300", "299x352", "161x322", "64")],
    *[("ssdlite-coco", {"activation": kind, "bn": bn}) for kind in ("relu6", "relu", "clip")
      for bn in ("true", "false")],
    *[("ssdlite-voc", {"width": width}) for width in ("0.35", "0.5", "0.75", "1.3", "1.4")],
    *[("ssdlite-voc", {"conv_engine": engine}) for engine in ("caffe", "cudnn", "default")],
    *[(net, {"conf_loss": loss}) for net in OURS for loss in ("softmax", "logistic")],
    ("ssdlite-voc", {"min_ratio": "10", "max_ratio": "80", "batch_size": "8", "iter_size": "3"}),
    ("ssdlite-voc", {"augment": "none", "mirror": "true", "mean": "104,117,123", "scale": "1"}),
    ("ssdlite-voc", {"boxes_in_pixels": "true", "expand_ratio": "1"}),
    *[("ssdlite-coco", {"solver.type": kind}) for kind in ("SGD", "Adam", "Nesterov", "AdaDelta")],
    *[("ssd-small", {"width": width, "input_size": size}) for width, size in (("0.5", "96"), ("2", "160"))],
]  # fmt: skip


def test_the_sweep_has_this_size() -> None:
    assert len(NETS) == 5
    assert len(OPTIONS) == 51


@pytest.mark.parametrize(("net", "options"), OPTIONS)
def test_options_give_nets_that_caffe_would_take(net: str, options: dict[str, str]) -> None:
    rendered = render_in_memory(net, assignments=options)
    size = rendered.resolution["net.input_size"]
    assert check(rendered.texts, out_dir=Path("models"), record_shape=(3, *size)).macs > 0


def message(text: str, stage: str) -> NetParameter:
    net = parse(text, NetParameter(), source="rendered")
    upgrade_net(net)
    return filter_net(net, net_state("TRAIN" if stage == "train" else "TEST"))


def layers(net: str, stage: str, **variables: str) -> dict[str, LayerParameter]:
    texts = render_in_memory(net, assignments=variables).texts
    return {layer.name: layer for layer in message(texts[f"{stage}.prototxt"], stage).layer}


def outputs(net: str, stage: str, **variables: str) -> dict[str, tuple[int, ...]]:
    rendered = render_in_memory(net, assignments=variables)
    graph = build_graph(message(rendered.texts[f"{stage}.prototxt"], stage))
    shapes = infer(graph, record_shape=lambda _: (3, *rendered.resolution["net.input_size"]))
    return {value.blob: shapes.tops[value] for value in graph.nodes[-1].tops}


@pytest.mark.parametrize("net", NETS)
def test_each_net_has_its_files(net: str) -> None:
    texts = render_in_memory(net).texts
    assert list(texts) == [
        "train.prototxt", "test.prototxt", "deploy.prototxt", "solver_train.prototxt", "solver_test.prototxt",
        "labelmap.prototxt", "train.sh", "test.sh", f"{net}.variables.toml",
    ]  # fmt: skip
    assert '"detection"' in texts["solver_train.prototxt"]
    assert "solver_test.prototxt --weights" in texts["test.sh"]


@pytest.mark.parametrize("net", NETS)
def test_the_ends_are_a_loss_an_evaluation_and_boxes(net: str) -> None:
    assert outputs(net, "train", classes="7") == {"mbox_loss": ()}
    assert list(outputs(net, "test", classes="7")) == ["detection_eval"]
    (shape,) = outputs(net, "deploy", classes="7").values()
    assert shape[-1] == 7


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("stage", STAGES)
def test_classes_count_without_the_background(net: str, stage: str) -> None:
    found = layers(net, stage, classes="4")
    for layer in found.values():
        for name in ("multibox_loss_param", "detection_output_param", "detection_evaluate_param"):
            if layer.HasField(name):
                assert getattr(layer, name).num_classes == 5
                assert getattr(layer, name).background_label_id == 0
    for name, layer in found.items():
        if layer.type == "PriorBox":
            head = name.removesuffix("_mbox_priorbox")
            suffix = "" if net == "ssd-small" else "_4classes"
            param = layer.prior_box_param
            priors = 1 + len(param.max_size) + 2 * len(param.aspect_ratio)
            assert found[f"{head}_mbox_loc"].convolution_param.num_output == 4 * priors
            assert found[f"{head}_mbox_conf{suffix}"].convolution_param.num_output == 5 * priors


@pytest.mark.parametrize(("net", "published"), [("ssdlite-coco", "90"), ("ssdlite-voc", "20")])
def test_only_other_numbers_of_classes_rename_what_depends_on_them(net: str, published: str) -> None:
    for stage in STAGES:
        usual = layers(net, stage)
        assert layers(net, stage, classes=published).keys() == usual.keys()
        other = layers(net, stage, classes="3")
        gone, new = usual.keys() - other.keys(), other.keys() - usual.keys()
        weighted = {name for name in gone if usual[name].type == "Convolution"}
        assert len(weighted) == 6
        assert all(name.endswith("_mbox_conf") for name in weighted)
        assert {f"{name}_3classes" for name in weighted} == {n for n in new if other[n].type == "Convolution"}
        assert len(gone) == len(new) == 3 * 6  # each with a Permute and a Flatten
        renamed = other["conv_13/expand_mbox_conf_3classes"]
        assert (list(renamed.bottom), list(renamed.top)) == (
            ["conv_13/expand_mbox_conf/depthwise"],
            ["conv_13/expand_mbox_conf_3classes"],
        )


def test_a_suffix_can_be_chosen() -> None:
    assert "Conv_1_mbox_conf_mine" in layers("ssdlite-voc", "deploy", conf_suffix="_mine")


def prior_sizes(net: str, **variables: str) -> list[tuple[list[float], list[float]]]:
    found = layers(net, "deploy", **variables).values()
    params = [layer.prior_box_param for layer in found if layer.type == "PriorBox"]
    return [(list(param.min_size), list(param.max_size)) for param in params]


def test_priors_follow_the_shorter_side_in_even_steps() -> None:
    assert prior_sizes("ssdlite-voc", input_size="300x600") == prior_sizes("ssdlite-voc")
    # 10 % to 60 % in five steps of 10 %, then the whole side.
    assert prior_sizes("ssdlite-voc", input_size="400", min_ratio="10", max_ratio="60") == [
        ([40], []), ([80], [120]), ([120], [160]), ([160], [200]), ([200], [240]), ([240], [400]),
    ]  # fmt: skip


def test_prior_sizes_are_whole_pixels_rounded_not_cut() -> None:
    # 35 % of 316 are 110.6; Caffe would cut that to 110.
    assert prior_sizes("ssdlite-voc", input_size="316")[1] == ([111], [158])


@pytest.mark.parametrize("size", ["300", "299x352", "161x322", "64", "33x47"])
def test_all_paddings_give_maps_of_the_same_size(size: str) -> None:
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for padding in ("slice", "tf", "caffe"):
        text = render_in_memory("ssdlite-voc", assignments={"padding": padding, "input_size": size})
        graph = build_graph(message(text.texts["deploy.prototxt"], "deploy"))
        tops = infer(graph).tops
        maps = [node.bottoms[0] for node in graph.nodes if node.layer.type == "PriorBox"]
        shapes[padding] = {value.blob: tops[value] for value in maps}
    assert len(shapes["slice"]) == 6
    assert shapes["slice"] == shapes["tf"] == shapes["caffe"]


def test_slices_cut_even_sides_only() -> None:
    found = message(
        render_in_memory("ssdlite-voc", assignments={"input_size": "161x322"}).texts["deploy.prototxt"],
        "deploy",
    ).layer
    first = next(layer for layer in found if layer.name == "Conv")
    assert (first.convolution_param.pad_h, first.convolution_param.pad_w) == (1, 2)
    slices = [layer for layer in found if layer.type == "Slice"]
    assert [layer.slice_param.axis for layer in slices if layer.bottom[0].startswith("Conv/")] == [3]
    (silence,) = [layer for layer in found if layer.type == "Silence"]
    assert set(silence.bottom) == {layer.top[0] for layer in slices}


def test_tf_padding_is_the_fork_s_field_on_caffe_s_engine() -> None:
    found = layers("ssdlite-voc", "train", padding="tf").values()
    strided = [
        layer.convolution_param
        for layer in found
        if layer.type == "Convolution" and list(layer.convolution_param.stride) == [2]
    ]
    assert len(strided) == 9
    assert all(param.HasField("tf_pad") and param.engine == param.CAFFE for param in strided)
    assert not [layer for layer in found if layer.type in ("Slice", "Silence")]


@pytest.mark.parametrize(("kind", "name"), [("relu", "ReLU"), ("relu6", "ReLU6"), ("clip", "Clip")])
def test_activation_is_spelt_as_asked_everywhere(kind: str, name: str) -> None:
    found = [layer for layer in layers("ssdlite-coco", "train", activation=kind).values()
             if layer.name.endswith("/relu")]  # fmt: skip
    assert {layer.type for layer in found} == {name}
    assert len(found) == 59
    in_place = [list(layer.bottom) == list(layer.top) for layer in found]
    assert set(in_place) == {kind != "clip"}


def test_relu_warns_of_the_accuracy_it_costs() -> None:
    notes = render_in_memory("ssdlite-coco", assignments={"activation": "relu"}).resolution.notes
    assert any("costs SSDLite" in note and "much accuracy" in note for note in notes)
    assert not any("accuracy" in note for note in render_in_memory("ssdlite-coco").resolution.notes)


@pytest.mark.parametrize(("engine", "value"), [("caffe", 1), ("cudnn", 2), ("default", 0)])
def test_conv_engine_stands_on_depthwise_convolutions_only(engine: str, value: int) -> None:
    for layer in layers("ssdlite-voc", "train", conv_engine=engine).values():
        if layer.type == "Convolution":
            assert layer.convolution_param.engine == (value if layer.convolution_param.group > 1 else 0)


def test_bn_follows_every_convolution_of_the_backbone_and_takes_its_bias() -> None:
    plain, found = (layers("ssdlite-voc", "train", bn=bn) for bn in ("false", "true"))
    backbone = [n for n, layer in found.items() if layer.type == "Convolution" and "mbox" not in n]
    assert len(backbone) == 64
    for name in backbone:
        assert plain[name].convolution_param.bias_term
        assert not found[name].convolution_param.bias_term
        assert len(found[name].param) == 1
        assert (found[f"{name}/bn"].type, found[f"{name}/scale"].type) == ("BatchNorm", "Scale")
    assert len([n for n in plain if n.endswith("/bn")]) == 12


def test_bn_brings_a_recipe_that_learns_from_nothing() -> None:
    usual = render_in_memory("ssdlite-voc").resolution
    scratch = render_in_memory("ssdlite-voc", assignments={"bn": "true"}).resolution
    assert (usual["solver.type"], usual["solver.base_lr"]) == ("RMSProp", 1e-5)
    assert (scratch["solver.type"], scratch["solver.base_lr"], scratch["solver.lr_policy"]) == (
        "SGD",
        0.01,
        "poly",
    )
    assert "1810.08425" in scratch.origins["solver.base_lr"]
    assert any("folded in" in note for note in scratch.notes)
    given = render_in_memory("ssdlite-voc", assignments={"bn": "true", "base_lr": "0.5"}).resolution
    assert given["solver.base_lr"] == 0.5


@pytest.mark.parametrize(
    ("loss", "layer", "value"), [("softmax", "mbox_conf_softmax", 0), ("logistic", "mbox_conf_sigmoid", 1)]
)
def test_conf_loss_decides_the_loss_and_the_scores(loss: str, layer: str, value: int) -> None:
    for net in OURS:
        trained = layers(net, "train", conf_loss=loss)["mbox_loss"].multibox_loss_param
        assert trained.conf_loss_type == value
        for stage in ("test", "deploy"):
            found = layers(net, stage, conf_loss=loss)
            assert layer in found
            if loss == "softmax":
                assert found[layer].softmax_param.axis == 2
            assert found["detection_out"].bottom[1] == "mbox_conf_flatten"


def test_augmentation_is_the_published_block_or_none() -> None:
    data = layers("ssdlite-coco", "train")["data"]
    assert len(data.annotated_data_param.batch_sampler) == 7
    assert data.transform_param.expand_param.max_expand_ratio == 4
    plain = layers("ssdlite-coco", "train", augment="none")["data"]
    assert not plain.annotated_data_param.batch_sampler  # with one, Caffe would encode images anew
    published = layers("ssdlite-coco", "test", augment="none")["data"].annotated_data_param.batch_sampler
    assert [sampler.HasField("sampler") for sampler in published] == [False]
    for field in ("distort_param", "expand_param", "emit_constraint", "mirror"):
        assert not plain.transform_param.HasField(field), field
    assert list(plain.transform_param.resize_param.interp_mode) == [1]
    smaller = layers("ssdlite-coco", "train", expand_ratio="1")["data"]
    assert smaller.transform_param.HasField("distort_param")
    assert not smaller.transform_param.HasField("expand_param")


def test_tests_see_images_as_they_are() -> None:
    data = layers("ssdlite-coco", "test")["data"]
    assert not data.transform_param.mirror
    assert list(data.transform_param.mean_value) == [127.5] * 3


def test_overlaps_in_pixels_need_the_sizes_of_the_images() -> None:
    evaluate = layers("ssdlite-voc", "test", boxes_in_pixels="true")["detection_eval"]
    assert evaluate.detection_evaluate_param.name_size_file.endswith("data/voc/test_name_size.txt")
    plain = layers("ssdlite-voc", "test")["detection_eval"].detection_evaluate_param
    assert not plain.HasField("name_size_file")
    named = layers("ssdlite-voc", "test", name_size_file="/sizes.txt")["detection_eval"]
    assert named.detection_evaluate_param.name_size_file == "/sizes.txt"


def solvers(net: str, **variables: str) -> list[SolverParameter]:
    texts = render_in_memory(net, assignments=variables).texts
    return [
        parse(texts[f"solver_{kind}.prototxt"], SolverParameter(), source=kind) for kind in ("train", "test")
    ]


@pytest.mark.parametrize("net", NETS)
def test_one_solver_trains_and_one_tests_by_training_for_no_iteration(net: str) -> None:
    train, test = solvers(net)
    for solver in (train, test):
        assert solver.train_net.endswith("train.prototxt")
        assert [Path(path).name for path in solver.test_net] == ["test.prototxt"]
        assert solver.eval_type == "detection"
        assert solver.ap_version == "11point"
        assert list(solver.test_iter) == list(train.test_iter)
    assert (train.max_iter > 0, test.max_iter) == (True, 0)
    assert (test.snapshot, test.snapshot_after_train, test.display) == (0, False, 0)


def test_the_published_recipe() -> None:
    train = solvers("ssdlite-coco")[0]
    assert (train.type, train.lr_policy, list(train.stepvalue)) == ("RMSProp", "multistep", [20000, 40000])
    assert (train.base_lr, train.gamma, train.weight_decay) == pytest.approx((1e-5, 0.5, 1e-5))
    assert (train.max_iter, train.snapshot, train.average_loss) == (120000, 1000, 10)
    assert list(train.test_iter) == [5000 // 8]


def test_gradients_of_several_batches_make_an_iteration() -> None:
    assert solvers("ssdlite-voc", iter_size="4")[0].iter_size == 4


@pytest.mark.parametrize(
    ("net", "options", "words"),
    [
        ("ssdlite-voc", {"classes": "0"}, r"net\.classes: 0 is too small; expected at least 1"),
        ("ssdlite-voc", {"min_ratio": "95"}, "min_ratio is 95 and net.max_ratio 95; expected min_ratio < max_ratio"),
        ("ssdlite-voc", {"max_ratio": "101"}, "net.max_ratio 101"),
        ("ssdlite-voc", {"mean": "1,2"}, "data.mean has 2 numbers for 3 channels"),
        ("ssdlite-voc", {"channels": "1"}, r"net\.channels: '1' is not allowed; expected one of 3"),
        ("ssdlite-voc", {"padding": "same"}, "'same' is not allowed; expected one of slice, tf, caffe"),
        ("ssd-small", {"padding": "tf"}, "net 'ssd-small' has no variable 'padding'"),
        ("lenet", {"conf_loss": "softmax"}, "net 'lenet' has no variable 'conf_loss'"),
    ],
)  # fmt: skip
def test_combinations_that_make_no_sense_are_refused(net: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        render_in_memory(net, assignments=options)
