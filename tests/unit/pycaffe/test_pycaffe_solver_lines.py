"""What a solver in a script logs: the values of blobs, and the scores of detections, as training logs them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffeflow import pycaffe as caffe
from caffeflow.errors import NetError
from caffeflow.workflows.train import train
from caffeflow.workflows.train_settings import TrainSettings
from tests.support.pycaffe_nets import SOLVED_NET, write_solver
from tests.support.training_project import Silent

DETECTIONS_NET = """name: "scored"
layer { name: "found" type: "Input" top: "found" input_param { shape { dim: 1 dim: 1 dim: 3 dim: 7 } } }
layer { name: "truth" type: "Input" top: "truth" input_param { shape { dim: 1 dim: 1 dim: 2 dim: 8 } } }
layer { name: "score" type: "DetectionEvaluate" bottom: "found" bottom: "truth" top: "score"
  detection_evaluate_param { num_classes: 3 } }
"""
LEFT, RIGHT = (0.1, 0.1, 0.4, 0.5), (0.6, 0.2, 0.9, 0.8)


@pytest.fixture(autouse=True)
def logging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLOG_minloglevel", "0")


def said(lines: list[str], begin: str) -> list[str]:
    """Returns what lines say behind glog's prefix, of those that begin so."""
    said = [line.partition("] ")[2] for line in lines]
    return [line for line in said if line.startswith(begin)]


def test_debug_info_logs_what_training_logs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_solver(tmp_path, "debug_info: true random_seed: 5")
    net = SOLVED_NET.replace('type: "constant"', 'type: "constant" value: 0.5')
    reads_twice = 'layer { name: "size" type: "Reduction" bottom: "out" top: "size" loss_weight: 0.1 }'
    (tmp_path / "solved.prototxt").write_text(net + reads_twice)
    screen = Silent()
    train(TrainSettings(solver=path), screen)
    expected = said(screen.lines, "    [")
    solver = caffe.SGDSolver(str(path))
    capsys.readouterr()
    solver.solve()
    assert said(capsys.readouterr().err.splitlines(), "    [") == expected
    assert any("[Backward] Layer out_out_0_split, bottom blob out diff: " in line for line in expected)
    assert "out_out_0_split_1" in solver.net.blobs
    solver.step(1)  # iteration 9, which is not displayed
    solver.net.forward()
    assert said(capsys.readouterr().err.splitlines(), "    [") == []


def test_detections_are_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_solver(tmp_path)
    (tmp_path / "scored.prototxt").write_text(DETECTIONS_NET)
    text = path.read_text().replace("net:", "train_net:").replace("test_iter: 2", "test_iter: 1")
    path.write_text(f'{text} test_net: "scored.prototxt" eval_type: "detection" ap_version: "11point"')
    solver = caffe.SGDSolver(str(path))
    blobs = solver.test_nets[0].blobs
    blobs["found"].data[...] = np.reshape(
        [(0, 1, 0.9, *LEFT), (0, 2, 0.8, *LEFT), (0, 2, 0.7, *RIGHT)], (1, 1, 3, 7)
    )
    blobs["truth"].data[...] = np.reshape([(0, 1, 0, *LEFT, 0), (0, 2, 0, *RIGHT, 0)], (1, 1, 2, 8))
    capsys.readouterr()
    solver.step(1)
    # class 1 is found at once: 1; class 2 behind one that is wrong: a precision of 1/2 at every recall
    assert said(capsys.readouterr().err.splitlines(), "    Test") == ["    Test net output #0: score = 0.75"]


def test_what_cannot_be_scored_is_refused(tmp_path: Path) -> None:
    path = write_solver(tmp_path, 'eval_type: "detection"')
    with pytest.raises(NetError, match="'loss' of the test net is scalar, but with eval_type"):
        caffe.SGDSolver(str(path))
    path = write_solver(tmp_path, 'eval_type: "detection" ap_version: "nix"')
    with pytest.raises(NetError, match="ap_version is 'nix'"):
        caffe.SGDSolver(str(path))
