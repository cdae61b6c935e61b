"""The classes of caffe.proto, built from caffe.desc; their types are in caffe_pb2.pyi."""

from __future__ import annotations

from caffeflow.proto.descriptors import build_messages

build_messages("caffe.desc", __name__, globals())
