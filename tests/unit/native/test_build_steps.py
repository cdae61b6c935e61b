"""What a build says of its files, and which folder it is made in."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.errors import NativeError
from caffeflow.native.build import build_folder, check_arch, read_step
from caffeflow.native.tree import open_tree
from tests.support.small_trees import make_small_tree


@pytest.mark.parametrize(
    ("line", "step"),
    [
        (
            "[  3%] Building CXX object src/caffe/CMakeFiles/caffe.dir/layers/pooling_layer.cpp.o",
            (3, "src/caffe/layers/pooling_layer.cpp"),
        ),
        ("[ 50%] Building CXX object CMakeFiles/caffe.bin.dir/tools/caffe.cpp.o", (50, "tools/caffe.cpp")),
        (
            "[ 12%] Building NVCC (Device) object src/caffe/CMakeFiles/cuda_compile_1.dir/layers/"
            "cuda_compile_1_generated_absval_layer.cu.o",
            (12, "src/caffe/layers/absval_layer.cu"),
        ),
        ("[ 97%] Linking CXX shared library ../../lib/libcaffe.so", (97, "linking libcaffe.so")),
        ("[100%] Linking CXX executable caffe", (100, "linking caffe")),
        (
            "[  1%] Running C++/Python protocol buffer compiler on /a/caffe.proto",
            (1, "Running C++/Python protocol buffer compiler on /a/caffe.proto"),
        ),
        ("[100%] Built target caffe", None),
        ("-- Found LMDB: /usr/include", None),
        ("io.cpp:3: error: [ 12%] is no step", None),
    ],
)
def test_a_step_is_told_by_its_source_file(line: str, step: tuple[int, str] | None) -> None:
    assert read_step(line) == step


def test_a_folder_of_somebody_elses_is_never_built_in(tmp_path: Path) -> None:
    tree = open_tree(make_small_tree(tmp_path / "tree"))
    assert build_folder(tree).path == tree.root / "build"
    (tree.root / "build").symlink_to(".build_release")  # as Caffe's own Makefile leaves it
    assert build_folder(tree).path == tree.root / "cmake_build"
    (tree.root / "cmake_build").mkdir()
    with pytest.raises(NativeError, match="build and cmake_build; move one away"):
        build_folder(tree)
    (tree.root / "cmake_build/caffeflow-build.json").write_text('{"mode": "cuda", "arch": "90"}')
    assert build_folder(tree).settings().arch == "90"


@pytest.mark.parametrize("text", [None, "", "[]", '{"mood": "cpu"}'])
def test_a_tree_that_was_not_built_is_told(tmp_path: Path, text: str | None) -> None:
    tree = open_tree(make_small_tree(tmp_path / "tree"))
    if text is not None:
        (tree.root / "build").mkdir()
        (tree.root / "build/caffeflow-build.json").write_text(text)
    with pytest.raises(NativeError, match=f"caffeflow caffe build {tree.root}"):
        build_folder(tree).settings()


@pytest.mark.parametrize("arch", ["auto", "90", "75,90,120"])
def test_lists_of_gpus(arch: str) -> None:
    check_arch(arch)


@pytest.mark.parametrize("arch", ["", "9.0", "sm_90", "75 90", "90,", "90a", "Auto"])
def test_what_is_no_list_of_gpus_is_refused(arch: str) -> None:
    with pytest.raises(NativeError, match=r"--arch .* expected auto, or 90"):
        check_arch(arch)
