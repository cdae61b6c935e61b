"""Small Caffe trees made by the tests: a few files of a tree's shape, in our own words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

SCHEMA: Final = """syntax = "proto2";
package caffe;

message LayerParameter {
  optional string name = 1;  // = 7 is in a comment
  optional ConvolutionParameter convolution_param = 106;
  %s
}

message ConvolutionParameter {
  optional uint32 num_output = 1;
  enum Engine { DEFAULT = 0; CAFFE = 1; }
  %s
}
"""
BARE: Final[Mapping[str, str]] = {
    "src/caffe/proto/caffe.proto": SCHEMA % ("", ""),
    "src/caffe/layer_factory.cpp": "REGISTER_LAYER_CREATOR(Convolution, MakeConvolution);\n",
    "src/caffe/layers/bias_layer.cpp": "REGISTER_LAYER_CLASS(Bias);\n",
    "src/caffe/test/test_layer_factory.cpp": "  REGISTER_LAYER_CLASS(OfATest);\n",
    "include/caffe/layer.hpp": "#pragma once\n",
    "tools/caffe.cpp": "int main() { return 0; }\n",
}
SSD: Final[Mapping[str, str]] = BARE | {
    "src/caffe/layers/multibox_loss_layer.cpp": "REGISTER_LAYER_CLASS(MultiBoxLoss);\n"
}


def write_files(root: Path, files: Mapping[str, str | bytes]) -> Path:
    """Writes files under a folder, and returns the folder."""
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def contents(root: Path) -> dict[str, bytes | None]:
    """Returns every file under a folder with its bytes, and every folder with None."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
    }
