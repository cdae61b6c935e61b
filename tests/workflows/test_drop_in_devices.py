"""Which of several GPUs a command takes; the GPUs are made up, so nothing runs on them."""

from __future__ import annotations

import pytest

from caffeflow.drop_in.devices import asked_gpus, training_device
from caffeflow.drop_in.flags import read_flags
from caffeflow.drop_in.glog import FatalError, Log
from caffeflow.engine import cuda_devices
from caffeflow.proto.caffe_pb2 import SolverParameter

CPU, GPU = SolverParameter.CPU, SolverParameter.GPU


@pytest.fixture(autouse=True)
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_devices, "device_count", lambda: 2)


@pytest.mark.parametrize(("gpu", "numbers"), [("", []), ("1", [1]), ("1, 0", [1, 0]), ("all", [0, 1])])
def test_a_list_of_gpus(gpu: str, numbers: list[int]) -> None:
    assert asked_gpus(gpu) == numbers


@pytest.mark.parametrize("gpu", ["2", "0,2", "-1", "first", "0,,1", "\u0663"])
def test_a_gpu_that_there_is_not(gpu: str) -> None:
    with pytest.raises(FatalError, match="expected numbers from 0 to 1, separated by commas, or all"):
        asked_gpus(gpu)


def trained_on(solver: SolverParameter, *words: str) -> str:
    line = read_flags(words, {})
    return str(training_device(line, solver, Log(line)))


@pytest.mark.parametrize("solver", [SolverParameter(), SolverParameter(solver_mode=CPU, device_id=1)])
def test_the_cpu_unless_the_solver_says_gpu(
    solver: SolverParameter, capsys: pytest.CaptureFixture[str]
) -> None:
    assert trained_on(solver) == "cpu"
    assert capsys.readouterr().err.endswith("] Use CPU.\n")


@pytest.mark.parametrize(
    ("solver", "words"),
    [
        (SolverParameter(solver_mode=GPU, device_id=5), []),
        (SolverParameter(solver_mode=CPU, device_id=0), ["-gpu=5"]),
    ],
)
def test_the_gpu_that_the_flag_or_the_solver_names(solver: SolverParameter, words: list[str]) -> None:
    with pytest.raises(FatalError, match="no GPU '5'"):
        trained_on(solver, *words)


def test_several_gpus_are_refused_in_training(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FatalError, match="-gpu all asks for 2 GPUs"):
        trained_on(SolverParameter(), "-gpu=all")
    assert "Using GPUs 0, 1" in capsys.readouterr().err
