"""From a caffe program back to its tree."""

from __future__ import annotations

from pathlib import Path

from caffeflow.native.built_from import find_tree_of, has_patch
from tests.support.trees import BARE, write_files


def test_the_tree_around_a_program(tmp_path: Path) -> None:
    tree = write_files(tmp_path / "tree", dict(BARE) | {"build/tools/caffe": ""})
    link = tmp_path / "caffe"
    link.symlink_to(tree / "build/tools/caffe")
    for program in (tree / "build/tools/caffe", link):
        found = find_tree_of(program)
        assert found is not None
        assert found.root == tree


def test_a_program_without_a_tree_has_no_patch(tmp_path: Path) -> None:
    program = write_files(tmp_path, {"bin/caffe": ""}) / "bin/caffe"
    assert find_tree_of(program) is None
    assert not has_patch(program, "ssd-sampled-box")


def test_a_patch_that_a_tree_has(tmp_path: Path) -> None:
    line = "cmake_minimum_required(VERSION %s)\n"
    tree = write_files(tmp_path, dict(BARE) | {"CMakeLists.txt": line % "2.8", "build/tools/caffe": ""})
    assert not has_patch(tree / "build/tools/caffe", "cmake-minimum")
    (tree / "CMakeLists.txt").write_text(line % "3.14")
    assert has_patch(tree / "build/tools/caffe", "cmake-minimum")
