"""The classes of weights.proto, built from weights.desc; their types are in weights_pb2.pyi."""

from __future__ import annotations

from caffeflow.proto.descriptors import build_messages

build_messages("weights.desc", __name__, globals())
