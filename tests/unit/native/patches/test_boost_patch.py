"""Boost without its library boost_system: what CMake itself makes of the patched search."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from caffeflow.native.patches.boost import BOOST_PATCHES
from caffeflow.native.patching import apply, plan, status
from caffeflow.native.tree import Tree, open_tree
from tests.support.trees import BARE, write_files

PATH = "cmake/Dependencies.cmake"
(PATCH,) = BOOST_PATCHES
# What Boost's own configuration says where a required component is not there.
CONFIG = """
foreach(name ${Boost_FIND_COMPONENTS})
  set(Boost_${name}_FOUND TRUE)
  if(name STREQUAL "system" AND NOT HAS_SYSTEM)
    set(Boost_system_FOUND FALSE)
    if(Boost_FIND_REQUIRED_system)
      set(Boost_FOUND FALSE)
      return()
    endif()
  else()
    list(APPEND Boost_LIBRARIES "lib_${name}")
  endif()
endforeach()
"""
TOP = """cmake_minimum_required(VERSION 3.14)
project(Birds NONE)
include(cmake/Dependencies.cmake)
message(STATUS "links ${Boost_LIBRARIES}")
"""


def tree_with(root: Path, line: str) -> Tree:
    return open_tree(
        write_files(root, dict(BARE) | {"CMakeLists.txt": TOP, PATH: f"# before\n{line}\n# after\n"})
    )


def patched(tree: Tree) -> Tree:
    apply(tree, plan(tree, only=[PATCH.id]))
    return open_tree(tree.root)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            "find_package(Boost 1.54 REQUIRED COMPONENTS system thread filesystem)",
            "find_package(Boost 1.54 REQUIRED COMPONENTS thread filesystem OPTIONAL_COMPONENTS system)",
        ),
        (
            "  find_package(Boost REQUIRED COMPONENTS thread system )",
            "  find_package(Boost REQUIRED COMPONENTS thread OPTIONAL_COMPONENTS system)",
        ),
        (
            "find_package(Boost 1.46 REQUIRED COMPONENTS system)",
            "find_package(Boost 1.46 REQUIRED OPTIONAL_COMPONENTS system)",
        ),
    ],
)
def test_the_library_is_asked_for_as_optional(tmp_path: Path, before: str, after: str) -> None:
    tree = patched(tree_with(tmp_path, before))
    assert tree.read(PATH) == f"# before\n{after}\n# after\n"
    assert {state.id: state.state for state in status(tree)}[PATCH.id] == "done"
    assert plan(tree, only=[PATCH.id]).changes == ()


@pytest.mark.parametrize(
    "line",
    [
        "find_package(Boost 1.46 COMPONENTS python)",
        "find_package(Boost REQUIRED COMPONENTS thread OPTIONAL_COMPONENTS system regex)",
        "find_package(Boost REQUIRED COMPONENTS system_error)",
    ],
)
def test_other_searches_are_left(tmp_path: Path, line: str) -> None:
    tree = tree_with(tmp_path, line)
    assert plan(tree, only=[PATCH.id]).changes == ()


@pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake here")
@pytest.mark.parametrize(("has_system", "links"), [(True, "lib_thread;lib_system"), (False, "lib_thread")])
def test_cmake_takes_a_boost_of_either_kind(tmp_path: Path, has_system: bool, links: str) -> None:
    tree = tree_with(tmp_path / "tree", "find_package(Boost REQUIRED COMPONENTS system thread)")
    write_files(tmp_path, {"boost/BoostConfig.cmake": CONFIG})

    def configure() -> subprocess.CompletedProcess[str]:
        words = [
            f"-DBoost_DIR={tmp_path}/boost",
            f"-DHAS_SYSTEM={has_system}",
            "-DCMAKE_POLICY_DEFAULT_CMP0167=NEW",
        ]
        command = ["cmake", "-S", tree.root, "-B", tmp_path / "build", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert (configure().returncode == 0) == has_system
    patched(tree)
    done = configure()
    assert done.returncode == 0, done.stderr
    assert f"-- links {links}\n" in done.stdout
