"""What `caffe doctor` says of a tree: which builds are mended, and what to do now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from caffeflow.native.toolchain import Toolchain
from caffeflow.workflows.caffe_doctor import Diagnosis, examine, facts
from tests.support.trees import BARE, write_files


def diagnosis(root: Path, *files: str) -> Diagnosis:
    """A tree with some more files on a machine that has everything."""
    found = examine(write_files(root, dict(BARE) | dict.fromkeys(files, "")))
    return replace(found, toolchain=Toolchain(findings=()), patches=())


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (("CMakeLists.txt", "Makefile"), ["CMake; its Makefile stays as it is"]),
        (("CMakeLists.txt",), ["CMake"]),
        (("Makefile",), ["a Makefile alone", "neither mends nor runs"]),
        ((), ["nothing that is known"]),
    ],
)
def test_which_build_is_mended(tmp_path: Path, files: tuple[str, ...], words: list[str]) -> None:
    said = facts(diagnosis(tmp_path, *files).tree)["builds with"]
    for word in words:
        assert word in said
    assert ("Makefile" in said) == ("Makefile" in files)


def test_what_to_do_now(tmp_path: Path) -> None:
    with_cmake = diagnosis(tmp_path / "cmake", "CMakeLists.txt")
    assert with_cmake.next_step == f"caffeflow caffe build {tmp_path / 'cmake'} --cpu"
    assert "has no CMakeLists.txt" in diagnosis(tmp_path / "make", "Makefile").next_step
    patches = examine(tmp_path / "cmake").patches
    to_do = replace(with_cmake, patches=patches)
    assert to_do.patches_to_do != []
    assert to_do.next_step == f"caffeflow caffe patch {tmp_path / 'cmake'}"
