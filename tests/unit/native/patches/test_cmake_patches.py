"""CMake's patches on files of a tree's shape, and what CMake itself makes of them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from caffeflow.native.patching import apply, plan, status
from caffeflow.native.tree import Tree, open_tree
from tests.support.trees import BARE, write_files

TOP = """cmake_minimum_required(VERSION {minimum})
project(Birds NONE)
set(BUILD_python ON)
set(python_version "2" CACHE STRING "which")
include(cmake/Dependencies.cmake)

if(BUILD_python)
  add_custom_target(pytest COMMAND python${{python_version}} -m unittest )
  add_dependencies(pytest pycaffe)
endif()
message(STATUS "asked for ${{python_version}}, found ${{HAVE_PYTHON}}, one of ${{PYTHON_EXECUTABLE}}")
"""
DEPENDENCIES = """# before
if(BUILD_python)
  if(NOT "${python_version}" VERSION_LESS "3.0.0")
    # the newer
    find_package(PythonInterp 3.0)
    find_package(PythonLibs 3.0)
    find_package(NumPy 1.7.1)
    while(NOT FOUND_ONE)
      if(GIVING_UP)
        break()
      endif()
    endwhile()
  else()
    # the older
    find_package(PythonInterp 2.7)
    find_package(PythonLibs 2.7)
  endif()
  set(HAVE_PYTHON ${Boost_PYTHON_FOUND})
endif()
# after
"""
# Stands in for the packages that are searched for; says which were asked.
FAKE_PYTHON = """
set(Python3_FOUND TRUE)
set(Python3_EXECUTABLE /birds/python3)
set(Python3_VERSION 3.12.5)
set(Python3_VERSION_MAJOR 3)
set(Python3_VERSION_MINOR 12)
"""
FAKE_BOOST = "set(Boost_PYTHON312_FOUND TRUE)\n"


def small_tree(root: Path, *, minimum: str = "2.8.7") -> Tree:
    files = {"CMakeLists.txt": TOP.format(minimum=minimum), "cmake/Dependencies.cmake": DEPENDENCIES}
    return open_tree(write_files(root, dict(BARE) | files))


def patched(root: Path, *, minimum: str = "2.8.7") -> Tree:
    tree = small_tree(root, minimum=minimum)
    apply(tree, plan(tree, only=[state.id for state in status(tree) if state.group == "cmake"]))
    return tree


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("2.8.7", "3.14"), ("2.8", "3.14"), ("3.1", "3.14"), ("3.13.2", "3.14"), ("3.14", "3.14"),
        ("3.20", "3.20"), ("4.0", "4.0"), ("3.5...4.1", "3.5...4.1"),
    ],
)  # fmt: skip
def test_a_minimum_below_ours_is_raised(tmp_path: Path, before: str, after: str) -> None:
    text = patched(tmp_path, minimum=before).read("CMakeLists.txt")
    assert text.startswith(f"cmake_minimum_required(VERSION {after})\n")


def test_python_3_is_asked_for_and_the_tests_run_the_python_that_was_found(tmp_path: Path) -> None:
    text = patched(tmp_path).read("CMakeLists.txt")
    assert 'set(python_version "3" CACHE STRING "which")' in text
    assert "if(TARGET pycaffe)\n  add_custom_target(pytest COMMAND ${PYTHON_EXECUTABLE} -m unittest )" in text


def test_only_the_branch_of_python_3_is_replaced(tmp_path: Path) -> None:
    text = patched(tmp_path).read("cmake/Dependencies.cmake")
    head, tail = DEPENDENCIES.split("    find_package(PythonInterp 3.0)\n")
    assert text.startswith(head)
    assert text.endswith(tail[tail.index("  else()\n    # the older") :])
    assert "PythonInterp 3" not in text
    assert "    find_package(Python3 COMPONENTS Interpreter Development NumPy)\n" in text


def test_a_search_without_a_branch_for_python_2_cannot_be_patched(tmp_path: Path) -> None:
    files = {"cmake/Dependencies.cmake": "find_package(PythonInterp 3.4)\nfind_package(PythonLibs 3.4)\n"}
    tree = open_tree(write_files(tmp_path, dict(BARE) | files))
    [state] = [state for state in status(tree) if state.id == "cmake-one-python"]
    assert (state.state, "cmake/Dependencies.cmake" in state.why_not) == ("cannot", True)


@pytest.mark.skipif(shutil.which("cmake") is None, reason="there is no cmake here")
def test_cmake_takes_the_patched_files_and_leaves_out_the_tests_of_a_pycaffe_that_is_not_there(
    tmp_path: Path,
) -> None:
    tree = patched(tmp_path / "tree")
    modules = write_files(
        tmp_path / "modules", {"FindPython3.cmake": FAKE_PYTHON, "FindBoost.cmake": FAKE_BOOST}
    )
    done = subprocess.run(
        ["cmake", "-S", tree.root, "-B", tmp_path / "build", f"-DCMAKE_MODULE_PATH={modules}"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "asked for 3, found TRUE, one of /birds/python3" in done.stdout
