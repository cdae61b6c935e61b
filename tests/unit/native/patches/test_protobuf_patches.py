"""Protobuf's patches on files of a tree's shape."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.native.patching import apply, plan, status
from caffeflow.native.tree import open_tree
from tests.support.trees import BARE, write_files

IO = "src/caffe/util/io.cpp"
FINDER = "cmake/ProtoBuf.cmake"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("in->SetTotalBytesLimit(kLimit, 536870912);\n", "in->SetTotalBytesLimit(kLimit);\n"),
        ("in.SetTotalBytesLimit(\n    kLimit,\n    1 << 29);\n", "in.SetTotalBytesLimit(kLimit);\n"),
        (
            "in->SetTotalBytesLimit(kLimit);\nother(1, 2);\n",
            "in->SetTotalBytesLimit(kLimit);\nother(1, 2);\n",
        ),
    ],
)
def test_the_second_argument_goes(tmp_path: Path, before: str, after: str) -> None:
    tree = open_tree(write_files(tmp_path, dict(BARE) | {IO: before}))
    apply(tree, plan(tree, only=["protobuf-bytes-limit"]))
    assert tree.read(IO) == after


def test_protobufs_own_cmake_files_are_asked_first(tmp_path: Path) -> None:
    tree = open_tree(
        write_files(tmp_path, dict(BARE) | {FINDER: "find_package( Protobuf REQUIRED )\nnext()\n"})
    )
    apply(tree, plan(tree, only=["protobuf-abseil"]))
    text = tree.read(FINDER)
    assert text.index("find_package(Protobuf CONFIG QUIET)") < text.index(
        "find_package(Protobuf MODULE REQUIRED)"
    )
    assert text.endswith("endif()\nnext()\n")
    assert plan(tree, only=["protobuf-abseil"]).changes == ()


def test_another_search_for_protobuf_cannot_be_patched(tmp_path: Path) -> None:
    tree = open_tree(write_files(tmp_path, dict(BARE) | {FINDER: "pkg_check_modules(PROTOBUF protobuf)\n"}))
    [state] = [state for state in status(tree) if state.id == "protobuf-abseil"]
    assert state.state == "cannot"
    assert "find_package(Protobuf REQUIRED) in cmake/ProtoBuf.cmake" in state.why_not
