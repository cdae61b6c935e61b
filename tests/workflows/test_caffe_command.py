"""`caffeflow caffe doctor`, `patch`, `build` and `test`, as typed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from caffeflow.cli.main import run
from tests.support.small_trees import CMAKE, make_small_tree
from tests.support.toolchains import make_this_machine

OLD = CMAKE.replace("3.14", "2.8.7")

has_compiler = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in ("cmake", "make", "c++")), reason="needs cmake, make and c++"
)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_this_machine(tmp_path / "machine", monkeypatch)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_small_tree(tmp_path / "tree", cmake=OLD)


@has_compiler
def test_the_doctor_tells_the_tree_its_patches_and_the_tools(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["caffe", "doctor", str(tree)]) == 0
    printed = capsys.readouterr().out
    assert "BVLC Caffe, version 1.0.0" in printed
    assert "cmake-minimum" in printed
    assert "4.6.0" in printed
    assert printed.splitlines()[-1] == f"next: caffeflow caffe patch {tree}"
    assert run(["caffe", "doctor", str(tree), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tree"]["kind"] == "bvlc"


def test_the_doctor_ends_with_one_where_something_is_missing(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CXX", "nowhere++")
    assert run(["caffe", "doctor", str(tree)]) == 1
    assert "sudo apt-get install" in capsys.readouterr().err


def test_what_is_no_tree_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in (["doctor"], ["patch"], ["build", "--cpu"], ["test"]):
        assert run(["caffe", *verb, str(tmp_path / "nowhere")]) == 7
        assert "nowhere' is no folder" in capsys.readouterr().err


def test_patching_is_shown_done_and_undone(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def say(*words: str) -> str:
        assert run(["caffe", "patch", str(tree), *words]) == 0
        return capsys.readouterr().out

    only = ("--only", "cmake-minimum")
    assert "cmake-minimum" in say("--list")
    states = {each["id"]: each["state"] for each in json.loads(say("--list", "--json"))}
    assert states["cmake-minimum"] == "to do"
    shown = say("--dry-run", *only)
    assert "-cmake_minimum_required(VERSION 2.8.7)" in shown
    assert (tree / "CMakeLists.txt").read_text() == OLD
    assert say(*only) == "1 patches in 1 files: cmake-minimum\n"
    assert (tree / "CMakeLists.txt").read_text() != OLD
    assert say(*only).startswith("nothing to do")
    assert say("--dry-run", *only).startswith("nothing to do")
    assert json.loads(say("--undo", "--json")) == {"restored": ["CMakeLists.txt"]}
    assert (tree / "CMakeLists.txt").read_text() == OLD


@pytest.mark.parametrize(
    "words",
    [
        ["patch", "--list", "--undo"],
        ["patch", "--undo", "--skip", "cmake-minimum"],
        ["patch", "--only", "cmake-minimun"],
        ["build"],
    ],
)
def test_words_that_do_not_go_together_are_refused(tree: Path, words: list[str]) -> None:
    assert run(["caffe", *words, str(tree)]) == 2


@has_compiler
def test_a_tree_is_built_and_tested(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree / "CMakeLists.txt").write_text(CMAKE)
    assert run(["caffe", "build", str(tree), "--cpu", "--jobs", "1"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"built {tree}/build/tools/caffe in ")
    assert "[ 50%] tools/caffe.cpp" in said.err
    assert run(["caffe", "build", str(tree), "--cpu", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["program"] == f"{tree}/build/tools/caffe"

    assert run(["caffe", "test", str(tree)]) == 0
    assert capsys.readouterr().out.startswith("3 of 3 C++ tests passed, 0 failed")
    assert run(["caffe", "test", str(tree), "--filter", "Dies*"]) == 1
    assert "died in PelicanTest.TestGradient" in capsys.readouterr().err
    assert run(["caffe", "test", str(tree), "--filter", "Dies*", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["passed"] == 1


@has_compiler
def test_ctrl_c_ends_a_build_with_eight_and_the_next_goes_on(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stops = f"add_custom_target(stops ALL COMMAND kill -INT {os.getpid()} COMMAND sleep 60)\n"
    (tree / "CMakeLists.txt").write_text(f"{CMAKE}{stops}add_dependencies(stops caffe.bin)\n")
    assert run(["caffe", "build", str(tree), "--cpu", "--jobs", "1"]) == 8
    assert "the same command goes on" in capsys.readouterr().err
    (tree / "CMakeLists.txt").write_text(CMAKE)
    assert run(["caffe", "build", str(tree), "--cpu"]) == 0
    assert "tools/caffe.cpp" not in capsys.readouterr().err
