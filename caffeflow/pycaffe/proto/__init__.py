"""`caffe.proto`: the message classes, under the name that scripts import them by."""

from __future__ import annotations

import sys

from caffeflow.proto import caffe_pb2

# One module under both names: its classes can be built only once in a process.
sys.modules[f"{__name__}.caffe_pb2"] = caffe_pb2

__all__ = ["caffe_pb2"]
