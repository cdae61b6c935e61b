"""A small Caffe tree for the patches of layers: a schema, a factory, and a convolution."""

from __future__ import annotations

from pathlib import Path

from caffeflow.native.tree import Tree, open_tree
from tests.support.trees import write_files

SCHEMA = """syntax = "proto2";
package caffe;

message ParamSpec {
  optional string name = 1;
}

message LayerParameter {
  optional string name = 1;  // 208 is no number here
  optional string type = 2;
  enum Kind {
    A = 0;
    B = 1;
  }
  optional ConvolutionParameter convolution_param = 106;
  optional ClipParameter clip_param = 148;
}

message ConvolutionParameter {
  optional uint32 num_output = 1;
  optional uint32 group = 5 [default = 1];
}

message ClipParameter {
  required float min = 1;
}
"""

FACTORY = """// Python.h comes first.
#ifdef WITH_PYTHON_LAYER
#include <boost/python.hpp>
#endif
#include <string>

#include "caffe/layer.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/layers/conv_layer.hpp"

namespace caffe {

// Chooses.
template <typename Dtype>
shared_ptr<Layer<Dtype> > GetConvolutionLayer(
    const LayerParameter& param) {
  return shared_ptr<Layer<Dtype> >(new ConvolutionLayer<Dtype>(param));
}

REGISTER_LAYER_CREATOR(Convolution, GetConvolutionLayer);

}  // namespace caffe
"""

FILES = {
    "src/caffe/proto/caffe.proto": SCHEMA,
    "src/caffe/layer_factory.cpp": FACTORY,
    "include/caffe/layer.hpp": "#pragma once\n",
    "include/caffe/layers/conv_layer.hpp": "template <typename Dtype>\nclass ConvolutionLayer;\n",
    "src/caffe/layers/conv_layer.cpp": "INSTANTIATE_CLASS(ConvolutionLayer);\n",
    "tools/caffe.cpp": "int main() { return 0; }\n",
}


def write_tree(root: Path, changed: dict[str, str] | None = None) -> Tree:
    """Writes a small tree, with some of its files changed or added, and opens it."""
    return open_tree(write_files(root, FILES | (changed or {})))
