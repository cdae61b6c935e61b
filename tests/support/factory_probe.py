"""Asks `conv_factory.hpp` which class it makes, compiled against headers that only name the classes.

Of Caffe there is no more here than the names that the header uses; the message is a plain struct.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

COMMON = """#pragma once
#include <memory>
#define CUDNN_VERSION_MIN(major, minor, patch) (CUDNN_VERSION >= (major * 1000 + minor * 100 + patch))
namespace caffe { using std::shared_ptr; }
"""
LAYER = """#pragma once
namespace caffe {
template <typename Dtype> struct Layer {
  virtual ~Layer() {}
  virtual const char* made() const = 0;
};
}
"""
MESSAGES = """#pragma once
namespace caffe {
enum ConvolutionParameter_Engine {
  ConvolutionParameter_Engine_DEFAULT, ConvolutionParameter_Engine_CAFFE, ConvolutionParameter_Engine_CUDNN
};
struct ConvolutionParameter {
  unsigned group_, num_output_;
  ConvolutionParameter_Engine engine_;
  unsigned group() const { return group_; }
  unsigned num_output() const { return num_output_; }
  ConvolutionParameter_Engine engine() const { return engine_; }
};
struct LayerParameter {
  ConvolutionParameter conv;
  const ConvolutionParameter& convolution_param() const { return conv; }
};
}
"""
CLASS = """#pragma once
namespace caffe {
template <typename Dtype> struct %s : Layer<Dtype> {
  explicit %s(const LayerParameter&) {}
  const char* made() const { return "%s"; }
};
}
"""
MAIN = """#include <cstdlib>
#include <iostream>
#include "caffe/conv_factory.hpp"
int main(int argc, char** argv) {
  for (int i = 1; i + 2 < argc; i += 3) {
    caffe::LayerParameter param;
    param.conv.group_ = std::atoi(argv[i]);
    param.conv.num_output_ = std::atoi(argv[i + 1]);
    param.conv.engine_ = static_cast<caffe::ConvolutionParameter_Engine>(std::atoi(argv[i + 2]));
    caffe::shared_ptr<caffe::Layer<float> > layer = caffe::FindGroupedConvolutionLayer<float>(param);
    std::cout << (layer ? layer->made() : "stock") << std::endl;
  }
}
"""
ENGINES = {"DEFAULT": "0", "CAFFE": "1", "CUDNN": "2"}


def build_probe(folder: Path, header: Path, *, cudnn_version: int | None) -> Path:
    """Compiles the probe as a build without cuDNN (None) or with a version of it would."""
    files = {
        "caffe/common.hpp": COMMON,
        "caffe/layer.hpp": LAYER,
        "caffe/proto/caffe.pb.h": MESSAGES,
        "caffe/layers/depthwise_conv_layer.hpp": _class("DepthwiseConvolutionLayer"),
        "caffe/layers/cudnn_grouped_conv_layer.hpp": _class("CuDNNGroupedConvolutionLayer"),
        "caffe/conv_factory.hpp": header.read_text(),
        "probe.cpp": MAIN,
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    flags = [] if cudnn_version is None else ["-DUSE_CUDNN", f"-DCUDNN_VERSION={cudnn_version}"]
    # The oldest C++ that the trees are built with.
    words = ["g++", "-std=c++11", "-Wall", "-Werror", *flags, f"-I{folder}", "-o", "probe", "probe.cpp"]
    subprocess.run(words, cwd=folder, check=True)
    return folder / "probe"


def ask(probe: Path, questions: list[tuple[int, int, str]]) -> list[str]:
    """Returns the class for each (group, num_output, engine), or `stock`."""
    words = [str(word) for group, outputs, engine in questions for word in (group, outputs, ENGINES[engine])]
    done = subprocess.run([probe, *words], check=True, capture_output=True, text=True)
    return done.stdout.split()


def _class(name: str) -> str:
    includes = '#include "caffe/layer.hpp"\n#include "caffe/proto/caffe.pb.h"\n'
    return CLASS.replace("#pragma once\n", "#pragma once\n" + includes) % (name, name, name)
