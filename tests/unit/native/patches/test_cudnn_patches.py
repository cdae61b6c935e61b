from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from caffeflow.errors import NativeError
from caffeflow.native.patches.cudnn import CUDNN_PATCHES
from caffeflow.native.patching import apply, diff, plan, status, undo
from tests.support.cuda_trees import CONV_LAYER, write_cuda_tree

PATCHES = {patch.id: patch for patch in CUDNN_PATCHES}
LAYER = "src/caffe/layers/cudnn_conv_layer.cpp"
HEADER = "include/caffe/util/cudnn_algorithms.hpp"

# A cuDNN that knows three algorithms a direction and hands them out best first.
CUDNN = """#pragma once
#include <cstddef>
enum cudnnStatus_t { CUDNN_STATUS_SUCCESS, CUDNN_STATUS_BAD_PARAM, CUDNN_STATUS_NOT_SUPPORTED };
typedef int cudnnHandle_t, cudnnTensorDescriptor_t, cudnnFilterDescriptor_t, cudnnConvolutionDescriptor_t;
enum cudnnConvolutionFwdAlgo_t { FORWARD = 100 };
enum cudnnConvolutionBwdFilterAlgo_t { BY_FILTER = 200 };
enum cudnnConvolutionBwdDataAlgo_t { BY_DATA = 300 };

template <typename Algorithm>
struct Listed { Algorithm algo; cudnnStatus_t status; float time; size_t memory; };
typedef Listed<cudnnConvolutionFwdAlgo_t> cudnnConvolutionFwdAlgoPerf_t;
typedef Listed<cudnnConvolutionBwdFilterAlgo_t> cudnnConvolutionBwdFilterAlgoPerf_t;
typedef Listed<cudnnConvolutionBwdDataAlgo_t> cudnnConvolutionBwdDataAlgoPerf_t;

// Broken and small, then large, then middling, then little.
template <typename Algorithm>
cudnnStatus_t list_all(int handle, int base, int wanted, int* count, Listed<Algorithm>* listed) {
  if (handle != 7 || wanted < 4) return CUDNN_STATUS_BAD_PARAM;
  const size_t memory[] = {1, 5000, 300, 8};
  *count = 4;
  for (int i = 0; i < 4; ++i)
    listed[i] = {Algorithm(base + i), i ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_NOT_SUPPORTED, 0, memory[i]};
  return CUDNN_STATUS_SUCCESS;
}
inline cudnnStatus_t cudnnGetConvolutionForwardAlgorithm_v7(int handle, int bottom, int filter, int conv,
    int top, int wanted, int* count, cudnnConvolutionFwdAlgoPerf_t* listed) {
  if (bottom != 1 || filter != 2 || conv != 3 || top != 4) return CUDNN_STATUS_BAD_PARAM;
  return list_all(handle, FORWARD, wanted, count, listed);
}
inline cudnnStatus_t cudnnGetConvolutionBackwardFilterAlgorithm_v7(int handle, int bottom, int top, int conv,
    int filter, int wanted, int* count, cudnnConvolutionBwdFilterAlgoPerf_t* listed) {
  if (bottom != 1 || filter != 2 || conv != 3 || top != 4) return CUDNN_STATUS_BAD_PARAM;
  return list_all(handle, BY_FILTER, wanted, count, listed);
}
inline cudnnStatus_t cudnnGetConvolutionBackwardDataAlgorithm_v7(int handle, int filter, int top, int conv,
    int bottom, int wanted, int* count, cudnnConvolutionBwdDataAlgoPerf_t* listed) {
  if (bottom != 1 || filter != 2 || conv != 3 || top != 4) return CUDNN_STATUS_BAD_PARAM;
  return list_all(handle, BY_DATA, wanted, count, listed);
}
"""
PROGRAM = """#include <cstdio>
#include <cstdlib>
#define CUDNN_CHECK(condition) if ((condition) != CUDNN_STATUS_SUCCESS) { std::puts("none"); std::exit(0); }
static int handle = 7, bottom = 1, filter = 2, conv = 3, top = 4;
static size_t limit, size;
static cudnnConvolutionFwdAlgo_t forward;
static cudnnConvolutionBwdFilterAlgo_t by_filter;
static cudnnConvolutionBwdDataAlgo_t by_data;
inline cudnnStatus_t cudnnGetConvolutionForwardWorkspaceSize(int, int, int, int, int, int, size_t*) {
  return CUDNN_STATUS_SUCCESS;
}
namespace caffe { void Reshape(); }
int main(int, char** words) {
  limit = std::atoi(words[1]);
  caffe::Reshape();
  std::printf("%d %d %d\\n", forward, by_filter, by_data);
}
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")
def test_the_first_algorithm_that_works_and_fits_is_taken(tmp_path: Path) -> None:
    tree = write_cuda_tree(tmp_path / "caffe")
    apply(tree, plan(tree, only=["cudnn-algorithms"], patches=PATCHES))
    include = tree.root / "include"
    (include / "cudnn.h").write_text(CUDNN)
    (include / "caffe/util/cudnn.hpp").write_text("#include <cudnn.h>\n#define CUDNN_VERSION 92800\n")
    (include / "caffe/layers").mkdir()
    (include / "caffe/layers/cudnn_conv_layer.hpp").write_text(f'#include "caffe/util/cudnn.hpp"\n{PROGRAM}')
    program = tmp_path / "reshape"
    subprocess.run(
        ["g++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-DUSE_CUDNN", f"-I{include}",
         tree.root / LAYER, "-o", program],
        check=True,
    )  # fmt: skip

    def choose(limit: int) -> str:
        return subprocess.run(
            [program, str(limit)], check=True, capture_output=True, text=True
        ).stdout.strip()

    assert choose(8192) == "101 201 301"
    assert choose(5000) == "101 201 301"
    assert choose(4999) == "102 202 302"
    assert choose(299) == "103 203 303"
    assert choose(7) == "none"


@pytest.mark.parametrize("name", sorted(PATCHES))
def test_twice_changes_nothing_and_undo_gives_all_back(tmp_path: Path, name: str) -> None:
    tree = write_cuda_tree(tmp_path)
    before = {path: tree.read(path) for path in tree.files("**/*")}
    apply(tree, plan(tree, only=[name], patches=PATCHES))
    states = {state.id: state.state for state in status(tree, PATCHES)}
    assert states == {each: "done" if each == name else "to do" for each in PATCHES}
    assert plan(tree, only=[name], patches=PATCHES).changes == ()
    undo(tree)
    assert {path: tree.read(path) for path in tree.files("**/*")} == before


def test_only_the_query_and_its_preference_change(tmp_path: Path) -> None:
    tree = write_cuda_tree(tmp_path)
    apply(tree, plan(tree, only=["cudnn-algorithms"], patches=PATCHES))
    text = tree.read(LAYER)
    assert text.count("cudnnGetConvolution") == 1  # the size of the workspace is asked as before
    assert (
        "cudnn::GetForwardAlgorithm(handle,\n      bottom, filter, conv, top,\n      limit, &forward)" in text
    )
    assert "handle, bottom, top, conv, filter,\n      limit, &by_filter)" in text
    own, ours = '#include "caffe/layers/cudnn_conv_layer.hpp"', '#include "caffe/util/cudnn_algorithms.hpp"'
    assert f"{own}\n{ours}\n" in text


def test_a_query_with_another_preference_is_not_guessed_at(tmp_path: Path) -> None:
    fastest = CONV_LAYER.replace("BWD_DATA_SPECIFY_WORKSPACE_LIMIT", "BWD_DATA_PREFER_FASTEST")
    tree = write_cuda_tree(tmp_path, cudnn_conv_layer=fastest)
    with pytest.raises(
        NativeError, match=r"'cudnn-algorithms'.*in all 3 queries.*not in 2.*cudnn_conv_layer\.cpp"
    ):
        plan(tree, patches=PATCHES)


def test_a_tree_whose_owner_mended_it_is_left_alone(tmp_path: Path) -> None:
    mended = CONV_LAYER.replace("Algorithm(", "Algorithm_v7(")
    tree = write_cuda_tree(tmp_path, cudnn_conv_layer=mended)
    state = {each.id: each.state for each in status(tree, PATCHES)}["cudnn-algorithms"]
    assert state == "not needed"


def test_convolutions_keep_full_floats_whatever_the_version_branch(tmp_path: Path) -> None:
    tree = write_cuda_tree(tmp_path)
    changed = plan(tree, only=["cudnn-full-floats"], patches=PATCHES)
    added = [line[1:] for line in diff(changed.changes).splitlines() if line.startswith("+")]
    assert "  CUDNN_CHECK(cudnnSetConvolutionMathType(*conv, CUDNN_FMA_MATH));" in added
    apply(tree, changed)
    text = tree.read("include/caffe/util/cudnn.hpp")
    assert text.index("(*conv, pad, stride))") < text.index("#if CUDNN_VERSION >= 8000") < text.index("}  //")
    assert text.count("cudnnSetConvolutionMathType") == 1


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")
@pytest.mark.parametrize(
    ("version", "name"), [(7605, "well"), (8000, "its own word"), (92800, "its own word")]
)
def test_errors_are_named_by_cudnn_itself_where_it_can(tmp_path: Path, version: int, name: str) -> None:
    tree = write_cuda_tree(tmp_path / "caffe")
    apply(tree, plan(tree, only=["cudnn-error-names"], patches=PATCHES))
    header = tree.read("include/caffe/util/cudnn.hpp").split("namespace caffe")[0]
    (tmp_path / "cudnn.h").write_text(
        f"#define CUDNN_VERSION {version}\nenum cudnnStatus_t {{ CUDNN_STATUS_SUCCESS }};\n"
        'extern "C" const char* cudnnGetErrorString(cudnnStatus_t status);\n'
    )
    (tmp_path / "use.cpp").write_text(
        f"{header}#include <cstdio>\nint main() {{ std::puts(cudnnGetErrorString(CUDNN_STATUS_SUCCESS)); }}\n"
    )
    (tmp_path / "cudnn.c").write_text(
        'const char* cudnnGetErrorString(int status) { return "its own word"; }\n'
    )
    library, program = tmp_path / "libcudnn.so", tmp_path / "use"
    subprocess.run(["gcc", "-shared", "-fPIC", tmp_path / "cudnn.c", "-o", library], check=True)
    subprocess.run(["g++", f"-I{tmp_path}", tmp_path / "use.cpp", library, "-o", program], check=True)
    done = subprocess.run(
        [program], check=True, capture_output=True, text=True, env={"LD_LIBRARY_PATH": str(tmp_path)}
    )
    assert done.stdout == f"{name}\n"


def test_the_softmax_layer_includes_what_it_uses(tmp_path: Path) -> None:
    tree = write_cuda_tree(tmp_path)
    apply(tree, plan(tree, only=["cudnn-softmax-thrust"], patches=PATCHES))
    text = tree.read("src/caffe/layers/cudnn_softmax_layer.cpp")
    assert text == '#include <vector>\n\n#include "caffe/layers/cudnn_softmax_layer.hpp"\n'


def test_a_tree_without_cudnn_needs_none(tmp_path: Path) -> None:
    tree = write_cuda_tree(tmp_path, cudnn="", cudnn_conv_layer="", cudnn_softmax_layer="")
    assert {state.state for state in status(tree, PATCHES)} == {"not needed"}
