"""Protobuf's patches on files of a tree's shape."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from caffeflow.native.patching import apply, plan, status
from caffeflow.native.tree import open_tree
from tests.support.trees import BARE, write_files

PROJECT = """cmake_minimum_required(VERSION 3.14)
project(Birds NONE)
include(ProtoBuf.cmake)
message(STATUS "links ${PROTOBUF_LIBRARIES}, reads ${PROTOBUF_INCLUDE_DIR}, runs ${PROTOBUF_PROTOC_EXECUTABLE}")
"""
CONFIG = """add_library(protobuf::libprotobuf INTERFACE IMPORTED)
"""
CONFIG_VERSION = """set(PACKAGE_VERSION "{version}")
set(PACKAGE_VERSION_COMPATIBLE TRUE)
"""
MODULE = """set(PROTOBUF_LIBRARIES /birds/libprotobuf.so)
set(Protobuf_FOUND TRUE)
"""
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


@pytest.mark.skipif(shutil.which("cmake") is None, reason="there is no cmake here")
@pytest.mark.parametrize(
    ("version", "links"),
    [
        ("3.21.12", "/birds/libprotobuf.so"),
        ("4.25.1", "protobuf::libprotobuf"),
        ("6.30.0", "protobuf::libprotobuf"),
        (None, "/birds/libprotobuf.so"),
    ],
)
def test_cmake_takes_abseil_along_from_22_on(tmp_path: Path, version: str | None, links: str) -> None:
    tree = open_tree(
        write_files(tmp_path / "tree", dict(BARE) | {FINDER: "find_package(Protobuf REQUIRED)\n"})
    )
    apply(tree, plan(tree, only=["protobuf-abseil"]))
    files = {
        "project/CMakeLists.txt": PROJECT,
        "project/ProtoBuf.cmake": tree.read(FINDER),
        "modules/FindProtobuf.cmake": MODULE,
        "prefix/include/google/protobuf/message.h": "",
        "prefix/bin/protoc": "#!/bin/sh\n",
    }
    if version is not None:
        files |= {
            "prefix/lib/cmake/protobuf/protobuf-config.cmake": CONFIG,
            "prefix/lib/cmake/protobuf/protobuf-config-version.cmake": CONFIG_VERSION.format(version=version),
        }
    write_files(tmp_path, files)
    (tmp_path / "prefix/bin/protoc").chmod(0o755)
    done = subprocess.run(
        [
            "cmake", "-S", tmp_path / "project", "-B", tmp_path / "build",
            f"-DCMAKE_MODULE_PATH={tmp_path}/modules", f"-DCMAKE_PREFIX_PATH={tmp_path}/prefix",
            "-DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"links {links}," in done.stdout
    if links.startswith("protobuf::"):
        assert f"reads {tmp_path}/prefix/" in done.stdout.replace("lib/cmake/protobuf/../../../", "")
        assert f"runs {tmp_path}/prefix/" in done.stdout
