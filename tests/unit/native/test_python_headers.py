"""Which Python pycaffe is built for, with interpreters that answer as one does."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from caffeflow.native.probes import Places
from caffeflow.native.python_headers import find_python_build
from tests.support.toolchains import write_file, write_program


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(prefixes=(tmp_path / "usr",), path=str(tmp_path / "bin"))


def write_python(root: Path, program: Path, **changed: str) -> dict[str, str]:
    """Writes an interpreter that has everything but what is changed, and returns what it answers."""
    write_file(root / "include/Python.h")
    answer = {
        "executable": str(program),
        "version": "3.12",
        "include": str(root / "include"),
        "library": str(root / "libpython3.12.so"),
        "numpy": str(root / "numpy/include"),
    } | changed
    write_program(program, json.dumps(answer))
    return answer


def test_all_of_one_python_is_named_to_cmake(tmp_path: Path, places: Places) -> None:
    write_file(tmp_path / "usr/lib/libboost_python312.so")
    answer = write_python(tmp_path / "py", tmp_path / "bin/python3")
    build, lacks = find_python_build(places)
    assert (build and build.cmake_options(), lacks) == (
        [
            "-Dpython_version=3",
            f"-DPYTHON_EXECUTABLE={tmp_path / 'bin/python3'}",
            f"-DPython3_EXECUTABLE={tmp_path / 'bin/python3'}",
            f"-DPYTHON_INCLUDE_DIR={answer['include']}",
            f"-DPYTHON_LIBRARY={answer['library']}",
            f"-DNUMPY_INCLUDE_DIR={answer['numpy']}",
        ],
        "",
    )


def test_one_without_numpy_is_passed_over_for_one_that_has_it(tmp_path: Path, places: Places) -> None:
    write_file(tmp_path / "usr/lib/libboost_python312.so")
    write_python(tmp_path / "py", tmp_path / "bin/python3", numpy="")
    other = tmp_path / "other/python3"
    write_python(tmp_path / "py", other)
    build, _ = find_python_build(Places(prefixes=places.prefixes, path=places.path, pythons=(other,)))
    assert build is not None
    assert build.executable == other


def test_what_each_python_lacks_is_told(tmp_path: Path, places: Places) -> None:
    write_python(
        tmp_path / "py", tmp_path / "bin/python3", numpy="", include=str(tmp_path), library="/x/libpython.a"
    )
    build, lacks = find_python_build(places)
    assert build is None
    assert (
        lacks
        == f"{tmp_path}/bin/python3 has no Python.h, no shared libpython, no numpy, no libboost_python312"
    )


def test_a_program_that_is_no_python_is_told(tmp_path: Path, places: Places) -> None:
    assert find_python_build(places) == (None, "there is no python3 on PATH")
    write_program(tmp_path / "bin/python3", "pyenv: version not installed", code=127)
    assert "python3" in find_python_build(places)[1]


def test_the_question_is_answered_by_a_real_python(tmp_path: Path) -> None:
    version = f"{sys.version_info[0]}{sys.version_info[1]}"
    write_file(tmp_path / f"lib/libboost_python{version}.so")
    places = Places(prefixes=(tmp_path,), path="", pythons=(Path(sys.executable),))
    build, lacks = find_python_build(places)
    assert (build is not None and (build.numpy_include / "numpy/arrayobject.h").is_file()) or (
        "numpy" not in lacks and "boost" not in lacks  # this Python may come without headers or library
    )
