"""`caffeflow train` as typed: defaults, exit codes, what is printed where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from caffeflow.cli import console
from caffeflow.cli.main import run
from tests.support.training_project import Project


def test_bare_in_an_empty_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train"]) == 2
    assert "no solver under models/" in capsys.readouterr().err
    assert not Path("runs").exists()


def test_the_only_solver_is_trained(capsys: pytest.CaptureFixture[str]) -> None:
    Project("max_iter: 3 test_iter: 1 test_interval: 2")
    assert run(["train"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("run runs/tiny-001: 3 iterations, done\n  test accuracy: ")
    assert "weights: runs/tiny-001/snapshots/tiny_iter_3.caffemodel" in out
    assert "solver.cpp:317] Optimization Done." in err


def test_json_on_stdout_alone(capsys: pytest.CaptureFixture[str]) -> None:
    Project("max_iter: 2 test_iter: 1 test_interval: 2")
    assert run(["train", "--json", "--iterations", "4", "--out", "mine"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["run"], report["iterations"], report["finished"]) == ("mine", 4, True)
    assert report["weights"] == "mine/snapshots/mine_iter_4.caffemodel"
    assert 0 <= report["results"]["test accuracy"]["last"] <= 1


def test_on_a_terminal_the_log_goes_to_its_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "is_terminal", lambda: True)
    Project("max_iter: 2 test_iter: 1 test_interval: 2")
    assert run(["train"]) == 0
    err = capsys.readouterr().err
    assert "iteration 2: test accuracy" in err
    assert "Optimization Done." not in err
    assert "Optimization Done." in Path("runs/tiny-001/caffe.log").read_text()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--solver", "missing.prototxt"], 4, "no such solver file"),
        (["--weights", "a", "--snapshot", "b"], 2, "--weights and --snapshot"),
        (["--weights", "missing.caffemodel"], 6, "missing.caffemodel"),
        (["--snapshot", "missing.solverstate"], 6, "missing.solverstate"),
        (["--resume"], 2, "no run of 'models/tiny/solver.prototxt'"),
        (["--resume", "--out", "nowhere"], 5, "nowhere/run.json"),
        (["--gpu", "7"], 2, "GPU 7 was asked for"),
    ],
)
def test_exit_codes(words: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    Project("max_iter: 2")
    assert run(["train", *words]) == code
    assert message in capsys.readouterr().err
    assert not Path("runs").exists()


def test_resume_finds_the_solver_of_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    Project("max_iter: 2")
    assert run(["train", "--out", "mine"]) == 0
    Path("models/second").mkdir()
    Path("models/second/solver.prototxt").write_text("")
    capsys.readouterr()
    assert run(["train", "--resume", "--out", "mine"]) == 2
    assert "mine: has done all its 2 iterations" in capsys.readouterr().err
