"""A small Caffe tree with the places that CUDA 13 and cuDNN 9 break, in words of its own.

Its Cuda.cmake runs in `cmake -P`: where CMake would look for CUDA and its GPUs, it reads CUDA_FOUND,
CUDA_VERSION and DETECTED, and at its end it tells what a build would get.
"""

from __future__ import annotations

from pathlib import Path

from caffeflow.native.tree import Tree, open_tree

CUDA_CMAKE = r"""# The kinds of GPU
set(Caffe_known_gpu_archs "20 21(20) 35 61")

function(caffe_detect_installed_gpus out)
  set(__nvcc_out "${DETECTED}")
  string(REPLACE "2.1" "2.1(2.0)" __nvcc_out "${__nvcc_out}")
  set(${out} ${__nvcc_out} PARENT_SCOPE)
endfunction()

function(caffe_select_nvcc_arch_flags out)
  if(CUDA_ARCH_NAME STREQUAL "Manual")
    set(CUDA_ARCH_BIN ${Caffe_known_gpu_archs} CACHE STRING "real ones")
    set(CUDA_ARCH_PTX "50"   CACHE STRING "virtual ones")
    set(__cuda_arch_bin ${CUDA_ARCH_BIN})
  elseif(CUDA_ARCH_NAME STREQUAL "Auto")
    caffe_detect_installed_gpus(__cuda_arch_bin)
  else()
    set(__cuda_arch_bin ${Caffe_known_gpu_archs})
  endif()

  string(REGEX REPLACE "\\." "" __cuda_arch_bin "${__cuda_arch_bin}")
  string(REGEX REPLACE "\\." "" __cuda_arch_ptx "${CUDA_ARCH_PTX}")
  string(REGEX MATCHALL "[0-9()]+" __cuda_arch_bin "${__cuda_arch_bin}")

  string(COMPARE LESS "${CUDA_VERSION}" "9.0" is_old)
  if(NOT is_old)
    string(REPLACE "21(20)" "" __cuda_arch_bin "${__cuda_arch_bin}")
    string(REPLACE "20" "" __cuda_arch_bin "${__cuda_arch_bin}")
  endif()

  set(${out} "${__cuda_arch_bin} ptx ${__cuda_arch_ptx}" PARENT_SCOPE)
endfunction()

# Looks for cuDNN.
function(detect_cuDNN)
  find_path(CUDNN_INCLUDE cudnn.h PATHS ${CUDNN_ROOT})
  find_library(CUDNN_LIBRARY NAMES libcudnn.so PATHS ${CUDNN_ROOT})
  if(CUDNN_INCLUDE AND CUDNN_LIBRARY)
    set(HAVE_CUDNN TRUE PARENT_SCOPE)
  endif()
endfunction()

if(NOT CUDA_FOUND)
  return()
endif()

set(HAVE_CUDA TRUE)
list(APPEND Caffe_INCLUDE_DIRS ${CUDA_INCLUDE_DIRS})
detect_cuDNN()
caffe_select_nvcc_arch_flags(GPUS)
message(STATUS "gpus: ${GPUS}")
message(STATUS "cudnn: ${HAVE_CUDNN} ${CUDNN_VERSION} ${CUDNN_INCLUDE} ${CUDNN_LIBRARY}")
message(STATUS "cublas: ${CUDA_CUBLAS_LIBRARIES}")
message(STATUS "curand: ${CUDA_curand_LIBRARY}")
message(STATUS "includes: ${Caffe_INCLUDE_DIRS}")
"""

MAKEFILE_CONFIG = """CUDA_DIR := /usr/local/cuda

# Kinds of GPU; take out what your CUDA does not know.
# One a line.
CUDA_ARCH := -gencode arch=compute_20,code=sm_20 \\
\t\t-gencode arch=compute_35,code=sm_35 \\
\t\t-gencode arch=compute_61,code=compute_61

# BLAS
BLAS := atlas
"""

CUDNN_HEADER = """#include <cudnn.h>

#define CUDNN_CHECK(condition) (condition ? cudnnGetErrorString(condition) : "")

inline const char* cudnnGetErrorString(cudnnStatus_t status) {
  switch (status) {
    case CUDNN_STATUS_SUCCESS:
      return "well";
  }
  return "unknown";
}

namespace caffe {
namespace cudnn {

template <typename Dtype>
inline void createConvolutionDesc(cudnnConvolutionDescriptor_t* conv) {
  CUDNN_CHECK(cudnnCreateConvolutionDescriptor(conv));
}

template <typename Dtype>
inline void setConvolutionDesc(cudnnConvolutionDescriptor_t* conv,
    int pad, int stride) {
#if CUDNN_VERSION_MIN(6, 0, 0)
  CUDNN_CHECK(cudnnSetConvolution2dDescriptor(*conv, pad, stride, 6));
#else
  CUDNN_CHECK(cudnnSetConvolution2dDescriptor(*conv, pad, stride));
#endif
}

}  // namespace cudnn
}  // namespace caffe
"""

CONV_LAYER = """#ifdef USE_CUDNN
#include <vector>

#include "caffe/layers/cudnn_conv_layer.hpp"

namespace caffe {

void Reshape() {
  CUDNN_CHECK(cudnnGetConvolutionForwardAlgorithm(handle,
      bottom, filter, conv, top,
      CUDNN_CONVOLUTION_FWD_SPECIFY_WORKSPACE_LIMIT,
      limit, &forward));
  CUDNN_CHECK(cudnnGetConvolutionForwardWorkspaceSize(handle,
      bottom, filter, conv, top, forward, &size));
  CUDNN_CHECK(cudnnGetConvolutionBackwardFilterAlgorithm(
      handle, bottom, top, conv, filter,
      CUDNN_CONVOLUTION_BWD_FILTER_SPECIFY_WORKSPACE_LIMIT, limit, &by_filter));
  CUDNN_CHECK(cudnnGetConvolutionBackwardDataAlgorithm(handle, filter, top, conv, bottom,
      CUDNN_CONVOLUTION_BWD_DATA_SPECIFY_WORKSPACE_LIMIT, limit, &by_data) );
}

}  // namespace caffe
#endif
"""

SOFTMAX_LAYER = """#include <vector>

#include "thrust/device_vector.h"

#include "caffe/layers/cudnn_softmax_layer.hpp"
"""

COMMON = """#include <glog/logging.h>

#include "caffe/common.hpp"
#include "caffe/util/rng.hpp"

void Caffe::DeviceQuery() {
  LOG(INFO) << "Clock: " << prop.clockRate;
  LOG(INFO) << "Name: " << prop.name << (prop.deviceOverlap ? "Yes" : "No");
  LOG(INFO) << (prop.kernelExecTimeoutEnabled ? "Yes" : "No");
}
"""

PLATFORM_TEST = """#include "gtest/gtest.h"

#include "caffe/test/test_caffe_main.hpp"

TEST_F(PlatformTest, TestInitialization) {
  printf("Clock: %d, %s\\n", PROPERTIES.clockRate,
         (PROPERTIES.deviceOverlap ? "Yes" : "No"));
}
"""

FILES = {
    "src/caffe/proto/caffe.proto": 'package caffe;\nmessage LayerParameter {\n}\n',
    "src/caffe/layer_factory.cpp": "",
    "include/caffe/layer.hpp": "",
    "tools/caffe.cpp": "",
    "cmake/Cuda.cmake": CUDA_CMAKE,
    "Makefile.config.example": MAKEFILE_CONFIG,
    "include/caffe/util/cudnn.hpp": CUDNN_HEADER,
    "src/caffe/layers/cudnn_conv_layer.cpp": CONV_LAYER,
    "src/caffe/layers/cudnn_softmax_layer.cpp": SOFTMAX_LAYER,
    "src/caffe/common.cpp": COMMON,
    "src/caffe/test/test_platform.cpp": PLATFORM_TEST,
}  # fmt: skip


def write_cuda_tree(root: Path, **changed: str) -> Tree:
    """Writes the tree and returns it.

    Args:
        root: The folder, which may not be there yet.
        changed: Other texts, by the file's name up to its dot; '' leaves the file out.
    """
    for path, text in FILES.items():
        text = changed.get(Path(path).name.split(".")[0], text)
        if text or not FILES[path]:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
    return open_tree(root)


def write_wheels(site_packages: Path) -> Path:
    """Writes what pip unpacks from the wheels of cuDNN, cuBLAS and cuRAND, and returns the folder."""
    files = {
        "cudnn/include/cudnn.h": "#pragma once\n",
        "cudnn/include/cudnn_version.h": (
            "#define CUDNN_MAJOR 9\n#define CUDNN_MINOR 28\n#define CUDNN_PATCHLEVEL 3\n"
            "#define CUDNN_VERSION (CUDNN_MAJOR * 10000)\n"
        ),
        "cudnn/lib/libcudnn.so.9": "",
        "cudnn/lib/libcudnn_ops.so.9": "",
        "cu13/include/cublas_v2.h": "",
        "cu13/include/curand.h": "",
        "cu13/lib/libcublas.so.13": "",
        "cu13/lib/libcublasLt.so.13": "",
        "cu13/lib/libcurand.so.10": "",
    }
    for path, text in files.items():
        target = site_packages / "nvidia" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return site_packages
