"""Sequences from HDF5 through a recurrent net to its outputs in HDF5; and data that only programs give."""

from __future__ import annotations

import json
import signal
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.workflows.train import train
from caffeflow.workflows.train_settings import TrainSettings
from tests.support.training_project import Silent

NET = """
layer { name: "rows" type: "HDF5Data" top: "x" top: "cont" top: "wanted" hdf5_data_param { source: "files.txt" batch_size: 5 } }
layer { name: "memory" type: "LSTM" bottom: "x" bottom: "cont" top: "h"
  recurrent_param { num_output: 11 weight_filler { type: "uniform" min: -0.4 max: 0.4 } } }
layer { name: "found" type: "InnerProduct" bottom: "h" top: "found"
  inner_product_param { num_output: 2 axis: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "found" bottom: "wanted" top: "loss" }
layer { name: "out" type: "HDF5Output" bottom: "found" bottom: "wanted" include { phase: TEST }
  hdf5_output_param { file_name: "out.h5" } }
"""
SOLVER = (
    'net: "net.prototxt" base_lr: 0.02 lr_policy: "fixed" momentum: 0.9 max_iter: 60 test_iter: 3'
    ' test_interval: 60 test_initialization: false snapshot_prefix: "run"'
)

LONG_STREAMS = SOLVER.replace("test_interval: 60", "test_interval: 10") + " random_seed: 3"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with running sums of noise, a net that learns them and a solver; the working folder."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(5)
    x = random.standard_normal((30, 3, 7)).astype(np.float32)
    wanted = np.tanh(np.cumsum(x[..., :2].reshape(6, 5, 3, 2), axis=1)).reshape(30, 3, 2)
    cont = np.ones((30, 3))
    cont[::5] = 0
    with h5py.File("sequences.h5", "w") as file:
        file["x"], file["cont"], file["wanted"] = x, cont, wanted
    Path("files.txt").write_text("sequences.h5\n")
    Path("net.prototxt").write_text(NET)
    Path("solver.prototxt").write_text(SOLVER)
    return tmp_path


def losses(log: str) -> list[float]:
    return [float(line.split("loss = ")[1].split()[0]) for line in log.splitlines() if "#0: loss = " in line]


def test_a_recurrent_net_learns_sequences_and_writes_what_it_found(project, capsys):
    Path("solver.prototxt").write_text(f"{SOLVER} display: 1")
    assert run(["train", "--solver", "solver.prototxt", "--out", "run"]) == 0
    found = losses((project / "run" / "caffe.log").read_text())
    assert sum(found[50:60]) < sum(found[:10]) / 3
    with h5py.File("out.h5") as file:
        outputs, wanted = file["data"][...], file["label"][...]
    assert outputs.shape == wanted.shape == (15, 3, 2, 1)
    assert np.abs(outputs - wanted).mean() < 0.3


def stopped_and_resumed(out: str, *, forget: bool = False) -> tuple[bytes, list[str]]:
    """Stops a run after 20 iterations, goes on, and returns the last weights and the notes."""
    screen = Silent()
    settings = TrainSettings(solver=Path("solver.prototxt"), out_dir=Path(out))
    screen.progress = lambda done, *_: signal.raise_signal(signal.SIGINT) if done == 20 else None
    assert train(settings, screen).iterations == 20
    if forget:
        side = Path("run_iter_20.resume.json")
        kept = json.loads(side.read_text())
        del kept["positions"]["carried"]
        side.write_text(json.dumps(kept))
    screen.progress = lambda *_: None
    assert train(replace(settings, resume=True), screen).iterations == 60
    return Path("run_iter_60.caffemodel").read_bytes(), screen.notes


def test_a_resumed_run_goes_on_with_the_state_of_its_streams(project, capsys):
    with h5py.File("sequences.h5", "a") as file:
        file["cont"][...] = np.arange(30)[:, None] % 15 > 0  # 20 batches of 5 end within a stream
    Path("solver.prototxt").write_text(LONG_STREAMS)
    assert run(["train", "--solver", "solver.prototxt", "--out", "whole"]) == 0
    unbroken = Path("run_iter_60.caffemodel").read_bytes()
    weights, notes = stopped_and_resumed("part")
    assert weights == unbroken
    assert not any("begins with zeros" in note for note in notes)
    weights, notes = stopped_and_resumed("forgetful", forget=True)
    assert weights != unbroken
    assert "layer 'memory': the snapshot has no state of it; it begins with zeros" in notes


def test_shapes_are_looked_up_in_the_files(project, capsys):
    assert run(["summary", "net.prototxt", "--phase", "TEST"]) == 0
    assert "5 x 3 x 11" in capsys.readouterr().out


def test_a_file_that_does_not_fit_is_found_before_training(project, capsys):
    with h5py.File("sequences.h5", "a") as file:
        del file["cont"]
    assert run(["train", "--solver", "solver.prototxt", "--out", "run"]) == 5
    error = capsys.readouterr().err
    assert "sequences.h5" in error
    assert "'cont'" in error
    assert not (project / "run").exists()


def test_data_that_programs_give_are_not_trained_on_from_here(project, capsys):
    memory = """layer { name: "given" type: "MemoryData" top: "x" top: "label" memory_data_param {
      batch_size: 5 channels: 3 height: 7 width: 11 } }
    layer { name: "found" type: "InnerProduct" bottom: "x" top: "found" inner_product_param { num_output: 2 } }
    layer { name: "loss" type: "SoftmaxWithLoss" bottom: "found" bottom: "label" top: "loss" }"""
    Path("net.prototxt").write_text(memory)
    assert run(["summary", "net.prototxt"]) == 0
    assert "5 x 3 x 7 x 11" in capsys.readouterr().out
    Path("solver.prototxt").write_text('net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" max_iter: 2')
    assert run(["train", "--solver", "solver.prototxt", "--out", "run"]) == 4
    error = capsys.readouterr().err
    for word in ("'given'", "MemoryData", "caffeflow.pycaffe"):
        assert word in error
