from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from caffeflow.native.layer_sources import LayerMessage, layer_source
from caffeflow.native.patches.patch import PlaceNotFoundError
from caffeflow.native.patches.schema import add_message, free_number, needs_message
from tests.support.layer_trees import SCHEMA

FIELD = "  optional ReLU6Parameter relu6_param = 208;\n"


def relu6() -> LayerMessage:
    parameter = layer_source("relu6").parameter
    assert parameter is not None
    return parameter


def with_field(line: str) -> str:
    place = "  optional ClipParameter clip_param = 148;\n"
    assert place in SCHEMA
    return SCHEMA.replace(place, place + line)


def test_the_field_and_the_message_are_added_once() -> None:
    assert needs_message(SCHEMA, relu6())
    added = add_message(SCHEMA, relu6())
    assert added.count(FIELD) == 1
    assert added.count("message ReLU6Parameter {") == 1
    assert (
        added.index("message LayerParameter")
        < added.index(FIELD)
        < added.index("message ConvolutionParameter")
    )
    assert not needs_message(added, relu6())
    assert add_message(added, relu6()) == added


def test_nothing_else_is_touched() -> None:
    added = add_message(SCHEMA, relu6())
    assert added.replace(FIELD, "").replace("\n" + relu6().text, "") == SCHEMA


def test_the_result_compiles(tmp_path: Path) -> None:
    protoc = pytest.importorskip("grpc_tools.protoc", reason="grpcio-tools is not installed")
    (tmp_path / "caffe.proto").write_text(add_message(SCHEMA, relu6()))
    out = tmp_path / "caffe.desc"
    words = ["protoc", f"-I{tmp_path}", f"--descriptor_set_out={out}", str(tmp_path / "caffe.proto")]
    assert protoc.main(words) == 0
    schema = descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file[0]
    messages = {message.name: message for message in schema.message_type}
    field = {field.name: field for field in messages["LayerParameter"].field}["relu6_param"]
    assert (field.number, field.type_name) == (208, ".caffe.ReLU6Parameter")
    assert {value.name for value in messages["ReLU6Parameter"].enum_type[0].value} == {
        "DEFAULT",
        "CAFFE",
        "CUDNN",
    }


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("  optional ClipParameter own_param = 208;\n", 209),
        ("  optional ClipParameter own_param = 208 [deprecated = true];\n", 209),
        ("  optional ClipParameter a = 209;\n  optional ClipParameter b = 208;\n", 210),
        ("  reserved 7, 200 to 211;\n", 212),
        ("  extensions 205 to 207;\n", 208),
        ("  // optional ClipParameter own_param = 208;\n", 208),
        ("  /* optional ClipParameter\n     own_param = 208; */\n", 208),
        ("  optional uint32 a = 9 [default = 208];\n", 208),
    ],
)
def test_a_number_in_use_is_never_taken(line: str, number: int) -> None:
    added = add_message(with_field(line), relu6())
    assert f"  optional ReLU6Parameter relu6_param = {number};\n" in added


def test_protobufs_own_numbers_are_left_out() -> None:
    assert free_number("", 19000) == 20000


def test_no_number_is_left() -> None:
    with pytest.raises(PlaceNotFoundError, match="a free field number from 300 on"):
        free_number("  extensions 300 to max;\n", 300)


def test_a_field_that_is_there_is_used_with_its_number() -> None:
    added = add_message(with_field("  optional ReLU6Parameter relu6_param = 151;\n"), relu6())
    assert added.count("relu6_param") == 1
    assert "message ReLU6Parameter {" in added
    assert not needs_message(added, relu6())


def test_a_message_that_is_there_is_used() -> None:
    added = add_message(SCHEMA + "message ReLU6Parameter {\n}\n", relu6())
    assert added.count("message ReLU6Parameter {") == 1
    assert FIELD in added


def test_a_field_of_another_meaning_is_refused() -> None:
    schema = with_field("  optional ClipParameter relu6_param = 151;\n")
    assert needs_message(schema, relu6())
    with pytest.raises(PlaceNotFoundError, match="relu6_param of type ReLU6Parameter, not ClipParameter"):
        add_message(schema, relu6())


def test_a_schema_without_layers_is_refused() -> None:
    with pytest.raises(PlaceNotFoundError, match="message LayerParameter"):
        add_message("message Datum {\n}\n", relu6())
