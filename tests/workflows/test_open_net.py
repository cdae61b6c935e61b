from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.errors import NetError, TemplateError, UsageError
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.text import parse
from caffeflow.workflows.open_net import Ask, open_net, set_batch_size, shape_of_text

DEPLOY = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 7 } } }
layer { name: "relu" type: "ReLU" bottom: "data" top: "data" }
"""
TRAIN_VAL = """
layer { name: "data" type: "Data" top: "data" data_param { source: "gone" batch_size: 4 } }
layer { name: "drop" type: "Dropout" bottom: "data" top: "data" include { phase: TRAIN } }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "models" / "mine"
    made.mkdir(parents=True)
    (made / "deploy.prototxt").write_text(DEPLOY)
    (made / "train_val.prototxt").write_text(TRAIN_VAL)
    return made


def test_a_folder_gives_the_file_that_suits_the_phase(folder: Path) -> None:
    deploy, train = open_net(Ask(net=str(folder))), open_net(Ask(net=str(folder), phase="TRAIN"))
    assert [node.name for node in deploy.graph.nodes] == ["data", "relu"]
    assert [node.name for node in train.graph.nodes] == ["data", "drop"]
    assert (deploy.label, train.label) == ("mine", "mine")


@pytest.mark.parametrize(
    ("name", "label"), [("deploy.prototxt", "mine"), ("train_val.prototxt", "mine train_val")]
)
def test_labels_leave_out_what_says_nothing(folder: Path, name: str, label: str) -> None:
    assert open_net(Ask(net=str(folder / name))).label == label


def test_a_missing_source_is_an_error_with_its_line_unless_the_record_is_given(folder: Path) -> None:
    file = folder / "train_val.prototxt"
    with pytest.raises(NetError, match=r"train_val\.prototxt:2: layer 'data'.*--record"):
        open_net(Ask(net=str(file))).shapes()
    shapes = open_net(Ask(net=str(file), record=(3, 11, 13), batch_size=6)).shapes()
    assert list(shapes.tops.values()) == [(6, 3, 11, 13)]


def test_catalogue_nets_take_variants_and_variables() -> None:
    opened = open_net(Ask(net="mobilenet-v2:paper", assignments={"net.classes": "7"}, batch_size=3))
    shapes = opened.shapes()
    assert opened.label == "mobilenet-v2:paper"
    assert [shapes.tops[value][:2] for value in opened.graph.outputs] == [(3, 7)]
    with pytest.raises(TemplateError, match="nano"):
        open_net(Ask(net="mobilenet-v2:nano"))


def test_variables_of_a_file_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="catalogue"):
        open_net(Ask(net=str(folder), assignments={"net.classes": "7"}))


def test_shapes_that_are_not_known_come_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "other.prototxt").write_text(DEPLOY.replace('"ReLU"', '"VideoData"'))
    shapes, why_not = open_net(Ask(net="other.prototxt")).find_shapes()
    assert shapes is None
    assert "VideoData" in why_not
    assert "other.prototxt:3" in why_not


def test_the_batch_size_reaches_every_kind_of_source() -> None:
    net = parse(
        """
        layer { name: "a" type: "Data" top: "a" data_param { batch_size: 2 } }
        layer { name: "i" type: "AnnotatedData" top: "i" data_param { batch_size: 2 } }
        layer { name: "b" type: "ImageData" top: "b" top: "c" image_data_param { batch_size: 2 } }
        layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
        layer { name: "e" type: "DummyData" top: "e" dummy_data_param { shape { dim: 2 dim: 3 } } }
        layer { name: "f" type: "DummyData" top: "f" top: "g" dummy_data_param { num: 2 num: 2 channels: 3 height: 1 width: 1 } }
        layer { name: "h" type: "ReLU" bottom: "a" top: "h" }
        """,
        NetParameter(),
        source="net",
    )
    set_batch_size(net, 7)
    a, i, b, d, e, f, h = net.layer
    assert (a.data_param.batch_size, i.data_param.batch_size, b.image_data_param.batch_size) == (7, 7, 7)
    assert [list(shape.dim) for shape in d.input_param.shape] == [[7, 3], [7]]
    assert list(e.dummy_data_param.shape[0].dim) == [7, 3]
    assert list(f.dummy_data_param.num) == [7, 7]
    assert not h.HasField("input_param")


def test_records_are_written_as_channels_height_width() -> None:
    assert shape_of_text("3x227X113") == (3, 227, 113)
    with pytest.raises(UsageError, match="CxHxW"):
        shape_of_text("227x227")
