"""`caffeflow-caffe test`, `time` and `device_query`."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from caffeflow.drop_in.command import run
from caffeflow.drop_in.device_query import fact_lines
from caffeflow.engine.cuda_devices import facts_of
from tests.support.drop_in_project import LAYERS, SIDE, listed, write_project

NUMBER = r"[-+.\de]+"
DEPLOY = f"""name: "deploy"
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 2 dim: 1 dim: {SIDE} dim: {SIDE} }} }} }}
layer {{ name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param {{ num_output: 3 kernel_size: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "prob" type: "Softmax" bottom: "conv1" top: "prob" }}
"""


@pytest.fixture
def project(tmp_path: Path, one_thread: None) -> Path:
    return write_project(tmp_path)  # the working folder, see conftest


def lines_of(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert run(words, {}) == 0
    out, err = capsys.readouterr()
    assert out == ""
    return [line.partition("] ")[2] for line in err.splitlines() if "] " in line]


def test_batches_and_their_means(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = listed(project)
    words = ["test", "--model", "net.prototxt", "-weights=initial.caffemodel", "-iterations=3"]
    lines = lines_of(capsys, *words)
    assert lines[0] == "Use CPU."
    said = lines[lines.index("Running for 3 iterations.") + 1 :]
    batches = [re.fullmatch(rf"Batch (\d), (accuracy|loss) = ({NUMBER})", line) for line in said[:6]]
    assert [(found[1], found[2]) for found in batches if found] == [
        (str(number), blob) for number in range(3) for blob in ("accuracy", "loss")
    ]
    losses = [float(found[3]) for found in batches[1::2] if found]
    mean = re.fullmatch(rf"Loss: ({NUMBER})", said[6])
    assert mean
    assert float(mean[1]) == pytest.approx(sum(losses) / 3, rel=1e-5)
    assert re.fullmatch(rf"accuracy = {NUMBER}", said[7])
    assert said[8] == f"loss = {mean[1]} (* 1 = {mean[1]} loss)"
    assert len(said) == 9
    assert listed(project) == before


def test_fifty_batches_unless_told_otherwise(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(capsys, "test", "-model=net.prototxt", "-weights=initial.caffemodel")
    assert "Running for 50 iterations." in lines
    assert any(line.startswith("Batch 49, loss = ") for line in lines)


def test_every_layer_is_timed_both_ways(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(capsys, "time", "-model", "net.prototxt", "-iterations", "3")
    start = lines.index("Performing Forward")
    assert re.fullmatch(rf"Initial loss: {NUMBER}", lines[start + 1])
    assert lines[start + 2 : start + 5] == [
        "Performing Backward", "*** Benchmark begins ***", "Testing for 3 iterations.",
    ]  # fmt: skip
    for number in (1, 2, 3):
        assert re.fullmatch(
            rf"Iteration: {number} forward-backward time: {NUMBER} ms\.", lines[start + 4 + number]
        )
    assert lines[start + 8] == "Average time per layer: "
    rows = lines[start + 9 : start + 9 + 2 * len(LAYERS)]
    found = [re.fullmatch(rf"( *\S+)\t(forward|backward): ({NUMBER}) ms\.", row) for row in rows]
    assert [(row[1], row[2]) for row in found if row] == [
        (f"{name:>10}", way) for name in LAYERS for way in ("forward", "backward")
    ]
    backward = {row[1].strip(): float(row[3]) for row in found if row and row[2] == "backward"}
    assert backward.pop("mnist") == 0
    assert min(backward.values()) > 0
    names = ["Average Forward pass", "Average Backward pass", "Average Forward-Backward", "Total Time"]
    sums = [re.fullmatch(rf"(.*): ({NUMBER}) ms\.", line) for line in lines[-5:-1]]
    assert [found[1] for found in sums if found] == names
    forward, back, both, total = (float(found[2]) for found in sums if found)
    assert forward + back == pytest.approx(both, rel=1e-4)
    assert 3 * both == pytest.approx(total, rel=1e-4)
    assert lines[-1] == "*** Benchmark ends ***"


def test_a_deploy_file_is_timed_too(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "deploy.prototxt").write_text(DEPLOY)
    lines = lines_of(capsys, "time", "-model=deploy.prototxt", "-iterations=2", "-phase=TEST")
    backward = {
        found[1]: float(found[2])
        for line in lines
        if (found := re.fullmatch(r" *(\S+)\tbackward: (.*) ms\.", line))
    }
    assert set(backward) == {"data", "conv1", "prob"}
    assert backward["conv1"] > 0


def test_the_phase_chooses_the_layers(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(capsys, "time", "-model=net.prototxt", "-iterations=1", "-phase", "TEST")
    assert any(line.startswith("  accuracy\tforward: ") for line in lines)


def test_no_gpus_are_listed_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert lines_of(capsys, "device_query") == ["Querying GPUs "]


def test_what_is_known_of_a_gpu_is_listed() -> None:
    properties = SimpleNamespace(major=9, minor=0, name="A card", total_memory=7, multi_processor_count=5)
    assert list(fact_lines(facts_of(properties))) == [
        "Major revision number:         9",
        "Minor revision number:         0",
        "Name:                          A card",
        "Total global memory:           7",
        "Number of multiprocessors:     5",
    ]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpu_is_listed_and_used(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = lines_of(capsys, "device_query", "-gpu=all")
    assert "Device id:                     0" in lines
    words = ["test", "-model=net.prototxt", "-weights=initial.caffemodel", "-iterations=2", "-gpu=0"]
    assert "Use GPU with device ID 0" in lines_of(capsys, *words)
