"""`--engine caffe` with a small program in caffe's place: what it is started with, what becomes of its log."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from caffeflow.errors import NativeError, UsageError
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.text import read_solver
from caffeflow.workflows.run_folder import read_record
from tests.support.training_project import FIELDS, Project

TYPES = "Accuracy, BatchNorm, Convolution, Dropout, ImageData, InnerProduct, ReLU, Scale, SoftmaxWithLoss"
PROBE = (
    "F1120 10:00:00.000000 1 layer_factory.hpp:81] Check failed: registry.count(type) == 1 (0 vs. 1)"
    f" Unknown layer type: CaffeflowProbe (known types: {TYPES})"
)
LOG = """\
I1120 10:00:00.000001  77 solver.cpp:279] Solving tiny
I1120 10:00:00.100000  77 solver.cpp:330] Iteration 0, Testing net (#0)
I1120 10:00:00.200000  77 solver.cpp:397]     Test net output #0: accuracy = 0.25
I1120 10:00:00.200001  77 solver.cpp:397]     Test net output #1: loss = 1.5 (* 1 = 1.5 loss)
I1120 10:00:00.300000  77 solver.cpp:218] Iteration 0 (0 iter/s, 0.3s/4 iters), loss = 1.75
I1120 10:00:00.300001  77 solver.cpp:237]     Train net output #0: loss = 1.75 (* 1 = 1.75 loss)
I1120 10:00:00.300002  77 sgd_solver.cpp:105] Iteration 0, lr = 0.01
I1120 10:00:01.000000  77 solver.cpp:330] Iteration 6, Testing net (#0)
I1120 10:00:01.100000  77 solver.cpp:397]     Test net output #0: accuracy = 0.75
I1120 10:00:01.100001  77 solver.cpp:397]     Test net output #1: loss = 0.5 (* 1 = 0.5 loss)
"""
DONE = "I1120 10:00:02.000000  77 solver.cpp:317] Optimization Done."
STOPPED = "I1120 10:00:02.000000  77 solver.cpp:295] Optimization stopped early."


def program(last: str, *, snapshot: int = 6, code: int = 0, ending: str = "") -> Path:
    """Writes a program that answers for its layer types, logs a training and leaves a snapshot."""
    path = Path("caffe").resolve()
    Path("training.log").write_text(f"{LOG}{last}\n")
    path.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = time ]; then echo "{PROBE}" >&2; kill -ABRT $$; fi\n'
        'echo "$@" >> arguments.txt\n'
        "cat training.log >&2\n"
        'prefix=$(sed -n \'s/^snapshot_prefix: "\\(.*\\)"/\\1/p\' "${2#-solver=}")\n'
        f'for kind in solverstate caffemodel; do touch "${{prefix}}_iter_{snapshot}.$kind{ending}"; done\n'
        f"exit {code}\n"
    )
    path.chmod(0o755)
    return path


def test_the_run_folder_is_the_same() -> None:
    project = Project()
    report = project.train(engine="caffe", caffe=program(DONE), seed=3, iterations=6)
    assert (report.run_dir, report.iterations, report.is_complete) == (Path("runs/tiny-001"), 6, True)
    assert report.weights == Path("runs/tiny-001/snapshots/tiny_iter_6.caffemodel")
    assert sorted(path.name for path in report.run_dir.iterdir()) == [
        "caffe.log", "curves.png", "metrics.csv", "run.json", "snapshots", "solver.prototxt",
        "train_val.prototxt",
    ]  # fmt: skip
    assert (report.run_dir / "caffe.log").read_text() == Path("training.log").read_text()
    with (report.run_dir / "metrics.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["iteration"], row["loss"], row["test accuracy"]) for row in rows] == [
        ("0", "", "0.25"), ("0", "1.75", ""), ("6", "", "0.75")
    ]  # fmt: skip
    assert report.results["test accuracy"] == {
        "best": 0.75, "best_iteration": 6, "last": 0.75, "last_iteration": 6
    }  # fmt: skip
    assert Path("arguments.txt").read_text() == "train -solver=runs/tiny-001/solver.prototxt\n"
    solver = read_solver("runs/tiny-001/solver.prototxt")
    assert (solver.max_iter, solver.random_seed) == (6, 3)
    assert solver.snapshot_prefix == "runs/tiny-001/snapshots/tiny"


def test_a_stopped_run_goes_on_from_its_newest_state() -> None:
    project = Project()
    caffe = program(STOPPED, snapshot=10)
    report = project.train(engine="caffe", caffe=caffe)
    assert (report.iterations, report.is_complete) == (6, False)
    assert read_record(report.run_dir)["state"] == "stopped"
    (report.run_dir / "snapshots" / "tiny_iter_9.solverstate").touch()
    program(DONE, snapshot=30)
    again = project.train(resume=True)  # remembers the engine and where it is
    assert again.run_dir == report.run_dir
    state = "runs/tiny-001/snapshots/tiny_iter_10.solverstate"
    assert Path("arguments.txt").read_text().splitlines()[-1].endswith(f"-snapshot={state}")
    with (report.run_dir / "metrics.csv").open() as lines:
        assert len(list(csv.DictReader(lines))) == 6


def test_a_run_with_hdf5_snapshots_goes_on_too() -> None:
    project = Project(FIELDS + " snapshot_format: HDF5")
    project.train(engine="caffe", caffe=program(STOPPED, snapshot=10, ending=".h5"))
    program(DONE, snapshot=30, ending=".h5")
    report = project.train(resume=True)
    assert report.weights == Path("runs/tiny-001/snapshots/tiny_iter_30.caffemodel.h5")
    last = Path("arguments.txt").read_text().splitlines()[-1]
    assert last.endswith("-snapshot=runs/tiny-001/snapshots/tiny_iter_10.solverstate.h5")


def test_device_cpu_is_put_into_the_solver() -> None:
    project = Project(FIELDS + " solver_mode: GPU")
    report = project.train(engine="caffe", caffe=program(DONE), device="cpu")
    assert read_solver(report.run_dir / "solver.prototxt").solver_mode == SolverParameter.CPU
    assert "-gpu" not in Path("arguments.txt").read_text()


def test_weights_and_gpus_are_passed_on() -> None:
    project = Project()
    project.train(engine="caffe", caffe=program(DONE), weights=("a.caffemodel", "b.caffemodel"), gpu="0,1")
    words = Path("arguments.txt").read_text().split()
    assert "-weights=a.caffemodel,b.caffemodel" in words
    assert "-gpu=0,1" in words
    with pytest.raises(UsageError, match="--device cpu and --gpu 0 contradict"):
        project.train(engine="caffe", caffe=Path("caffe").resolve(), device="cpu", gpu="0")


def test_its_last_words_are_kept() -> None:
    fatal = "F1120 10:00:02.000000  77 data_layer.cpp:1] Check failed: the disk has gone"
    project = Project()
    with pytest.raises(NativeError, match="the disk has gone"):
        project.train(engine="caffe", caffe=program(fatal, code=134))
    record = json.loads(Path("runs/tiny-001/run.json").read_text())
    assert record["state"] == "failed"
    assert "the disk has gone" in record["error"]
