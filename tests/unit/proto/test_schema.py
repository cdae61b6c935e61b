"""The committed descriptor sets are what the .proto files say, and forks do not collide in them."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2

from caffeflow import resources
from caffeflow.proto import caffe_pb2, weights_pb2


@pytest.mark.parametrize("name", ["caffe", "weights"])
def test_descriptor_set_and_stub_are_fresh(name: str, tmp_path: Path) -> None:
    protoc = pytest.importorskip("grpc_tools.protoc", reason="grpcio-tools is not installed")
    source = resources.proto_file(f"{name}.proto")
    fresh = tmp_path / "fresh.desc"
    arguments = ["protoc", f"-I{source.parent}", f"--descriptor_set_out={fresh}", f"--pyi_out={tmp_path}"]
    assert protoc.main([*arguments, source.name]) == 0
    committed = descriptor_pb2.FileDescriptorSet.FromString(resources.proto_file(f"{name}.desc").read_bytes())
    assert committed == descriptor_pb2.FileDescriptorSet.FromString(fresh.read_bytes())
    assert (tmp_path / f"{name}_pb2.pyi").read_text() == resources.proto_file(f"{name}_pb2.pyi").read_text()


def test_union_has_every_message_and_field_of_both_trees() -> None:
    file = caffe_pb2.NetParameter.DESCRIPTOR.file
    messages = file.message_types_by_name
    # 63 messages in BVLC's, 87 in the SSD fork's, two (Clip, Swish) in BVLC's alone.
    assert len(messages) == 89
    # 587 fields in the SSD fork's; BVLC adds Clip (2), Swish (1), their two layer fields, round_mode,
    # infogain's axis, and the solver's layer_wise_reduce and weights.
    assert sum(len(message.fields) for message in messages.values()) == 587 + 9


def test_numbers_that_files_depend_on() -> None:
    layer = caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name
    numbers = {
        "blobs": 7,
        "clip_param": 148,
        "relu6_param": 208,
        "multibox_loss_param": 201,
        "recurrent_param": 146,
    }
    assert {name: layer[name].number for name in numbers} == numbers
    solver = caffe_pb2.SolverParameter.DESCRIPTOR.fields_by_name
    assert (solver["layer_wise_reduce"].number, solver["weights"].number) == (41, 42)
    assert solver["eval_type"].number not in (41, 42)


def test_weights_schema_agrees_with_the_full_one_where_both_have_a_field() -> None:
    pairs = [
        (weights_pb2.BlobProto, caffe_pb2.BlobProto),
        (weights_pb2.LayerWeights, caffe_pb2.LayerParameter),
        (weights_pb2.V1LayerWeights, caffe_pb2.V1LayerParameter),
        (weights_pb2.V0LayerWeights, caffe_pb2.V0LayerParameter),
        (weights_pb2.NetWeights, caffe_pb2.NetParameter),
        (weights_pb2.SolverStateBlobs, caffe_pb2.SolverState),
    ]
    nvcaffes_own = {"raw_data", "raw_data_type"}
    assert not nvcaffes_own & set(caffe_pb2.BlobProto.DESCRIPTOR.fields_by_name)
    for small, full in pairs:
        for field in small.DESCRIPTOR.fields:
            if field.name in nvcaffes_own:
                continue
            assert full.DESCRIPTOR.fields_by_name[field.name].number == field.number, field.full_name


def test_messages_pickle() -> None:
    net = caffe_pb2.NetParameter(name="n")
    net.layer.add(name="x", type="ReLU")
    assert pickle.loads(pickle.dumps(net)) == net
