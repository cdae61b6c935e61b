"""Python layers on the command line: refused by name, allowed by an option, and their errors told once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from caffeflow.cli.main import run
from caffeflow.drop_in.command import run as run_like_caffe
from tests.support.pycaffe_nets import SCRIPTS, write_python_net

TRAIN = ["train", "--solver", "python_solver.prototxt", "--iterations", "3", "--device", "cpu"]


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(SCRIPTS)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    for name in ("caffe", "layers_of_users"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return write_python_net(tmp_path)[0]


def break_forward(net: Path) -> None:
    old = 'layer: "Multiply" param_str: "2.5"'
    text = net.read_text()
    assert old in text
    net.write_text(text.replace(old, 'layer: "Broken" param_str: "forward"'))


def test_without_the_option_they_are_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(TRAIN) == 4
    told = capsys.readouterr().err
    assert "python.prototxt:2: layer 'waves'" in told
    assert "class 'Waves' of the module 'layers_of_users'" in told
    assert "--allow-python-layers" in told
    assert "layers_of_users" not in sys.modules


def test_with_the_option_they_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*TRAIN, "--allow-python-layers", "--out", "run"]) == 0
    assert "layer 'waves' runs Waves of" in capsys.readouterr().err
    assert list(tmp_path.rglob("*_iter_3.caffemodel"))


def test_what_a_layer_raises_is_told_once(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    break_forward(project)
    assert run([*TRAIN, "--allow-python-layers"]) == 4
    told = capsys.readouterr().err
    assert "layer 'twice': its Python code failed" in told
    assert told.count("Traceback") == 1
    assert "in _fail" in told
    assert "RuntimeError: broken on purpose in forward" in told


def test_the_stand_in_for_caffe_runs_them(project: Path, tmp_path: Path) -> None:
    assert run_like_caffe(["train", "-solver=python_solver.prototxt"]) == 0
    assert (tmp_path / "python_iter_9.caffemodel").is_file()
    break_forward(project)
    with pytest.raises(RuntimeError, match="broken on purpose in forward") as caught:
        run_like_caffe(["train", "-solver=python_solver.prototxt"])
    assert caught.value.__notes__ == ["raised by the Python layer 'twice'"]


def test_the_stand_in_ends_with_1_and_tells_of_a_raising_layer_once(project: Path) -> None:
    break_forward(project)
    done = subprocess.run(
        [sys.executable, "-m", "caffeflow.drop_in", "train", "-solver=python_solver.prototxt"],
        cwd=project.parent, env=os.environ | {"PYTHONPATH": str(SCRIPTS)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.endswith(
        "RuntimeError: broken on purpose in forward\nraised by the Python layer 'twice'\n"
    )
