"""Training from files to a run folder, and everything that can be wrong before it starts."""

from __future__ import annotations

import csv
import errno
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.errors import CaffeflowError, CheckError, DataError, NetError, UsageError, WeightsError
from caffeflow.proto.binary import LayerArrays, read_caffemodel, write_caffemodel, write_mean
from caffeflow.report.log import read_log
from caffeflow.workflows.run_folder import RunFolder, read_record
from caffeflow.workflows.train_settings import find_solver, find_solver_to_resume
from tests.support.training_project import Project, runs


def test_a_run_leaves_its_folder() -> None:
    project = Project("max_iter: 8 test_iter: 2 test_interval: 4 snapshot: 5")
    report = project.train(command=("caffeflow", "train"))
    assert report.run_dir == Path("runs/tiny-001")
    assert (report.iterations, report.is_complete) == (8, True)
    assert report.weights == Path("runs/tiny-001/snapshots/tiny_iter_8.caffemodel")
    assert sorted(path.name for path in report.run_dir.iterdir()) == [
        "caffe.log", "curves.png", "metrics.csv", "run.json", "snapshots", "solver.prototxt", "tensorboard",
        "train_val.prototxt",
    ]  # fmt: skip
    record = read_record(report.run_dir)
    assert record["state"] == "finished"
    assert (record["net"], record["seed"], record["iterations"]) == ("tiny", 7, 8)
    assert record["dataset"] == ["images/list.txt"]
    assert record["command"] == ["caffeflow", "train"]
    assert record["results"]["test accuracy"]["last_iteration"] == 8
    assert set(report.results) == {"loss", "test accuracy", "test loss"}
    assert {"host", "git", "started", "finished", "torch", "caffeflow"} <= set(record)
    assert project.train().run_dir == Path("runs/tiny-002")


def test_the_log_reads_like_caffes() -> None:
    report = Project("max_iter: 9 test_iter: 2 test_interval: 4").train()
    (run,) = read_log(report.run_dir / "caffe.log")
    assert run.net == "tiny"
    assert [row.iteration for row in run.train] == [0, 4, 8]
    assert [row.iteration for row in run.test] == [0, 4, 8]
    assert list(run.test[0].outputs) == ["accuracy", "loss"]
    assert run.train[0].lr == pytest.approx(0.01)
    assert run.ended == "done"


def test_metrics_are_a_table_of_all_figures() -> None:
    report = Project("max_iter: 9 test_iter: 2 test_interval: 4").train()
    with (report.run_dir / "metrics.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == [
        "iteration", "seconds", "lr", "loss", "train loss", "test accuracy", "test loss"
    ]  # fmt: skip
    assert [int(row["iteration"]) for row in rows if row["loss"]] == [0, 4, 8]
    assert [int(row["iteration"]) for row in rows if row["test loss"]] == [0, 4, 8]
    (run,) = read_log(report.run_dir / "caffe.log")
    shown = [float(row["loss"]) for row in rows if row["loss"]]
    assert shown == pytest.approx([row.loss for row in run.train], rel=1e-5)


def test_the_solvers_prefix_is_honoured() -> None:
    project = Project('max_iter: 3 snapshot_prefix: "models/tiny/snapshots/net"')
    assert project.train().weights == Path("models/tiny/snapshots/net_iter_3.caffemodel")
    project.write_solver('max_iter: 2 snapshot_prefix: "models/tiny/snapshots"')  # a folder now
    assert project.train().weights == Path("models/tiny/snapshots/solver_iter_2.caffemodel")


def test_weights_are_copied_by_name_and_reported() -> None:
    project = Project("max_iter: 1")
    first = project.train()
    assert first.weights is not None
    layers = [one for one in read_caffemodel(first.weights) if one.name != "ip"]
    write_caffemodel("start.caffemodel", name="tiny", layers=layers)
    report = project.train(weights=("start.caffemodel",))
    copied = read_record(report.run_dir)["weights"]["start.caffemodel"]
    assert copied == {"copied": ["conv", "conv/bn", "conv/scale"], "new": ["ip"], "skipped": []}
    assert any(
        "start.caffemodel: copied 3 layers; new, from their fillers: ip" in n for n in project.screen.notes
    )
    assert any(line.endswith("Finetuning from start.caffemodel") for line in project.screen.lines)


PROBE = """
layer { name: "probe" type: "InnerProduct" bottom: "ip" top: "probe" include { phase: TEST }
  inner_product_param { num_output: 5 weight_filler { type: "constant" value: 0.25 } } }
layer { name: "sum" type: "Reduction" bottom: "probe" top: "sum" include { phase: TEST }
  reduction_param { operation: ASUM } }
"""


def test_a_layer_of_the_test_net_alone_begins_with_its_filler_or_with_the_weights() -> None:
    project = Project("max_iter: 1 test_iter: 2 test_interval: 1 test_initialization: true")
    net = project.solver.with_name("train_val.prototxt")
    net.write_text(net.read_text() + PROBE)
    filled = project.train()
    assert filled.results["test sum"]["last"] > 0
    probe = LayerArrays("probe", "InnerProduct", ("ip",), ("probe",), (np.zeros((5, 5)), np.zeros(5)))
    write_caffemodel("start.caffemodel", name="tiny", layers=[*read_caffemodel(str(filled.weights)), probe])
    assert project.train(weights=("start.caffemodel",)).results["test sum"]["last"] == 0


def test_the_solvers_own_weights_are_loaded_too() -> None:
    project = Project("max_iter: 1")
    first = project.train()
    project.write_solver(f'max_iter: 1 weights: "{first.weights}"')
    report = project.train()
    assert list(read_record(report.run_dir)["weights"]) == [str(first.weights)]


def test_caffes_rule_goes_on_from_a_solverstate() -> None:
    project = Project("max_iter: 4 snapshot: 2")
    first = project.train()
    report = project.train(snapshot="runs/tiny-001/snapshots/tiny_iter_2.solverstate", iterations=6)
    assert report.iterations == 6
    (run,) = read_log(report.run_dir / "caffe.log")
    assert run.resumed_from == "runs/tiny-001/snapshots/tiny_iter_2.solverstate"
    assert first.run_dir != report.run_dir


def test_the_seed_decides_the_run() -> None:
    project = Project("max_iter: 3")
    weights = [project.train(seed=seed).weights for seed in (1, 1, 2)]
    first, same, other = (Path(str(path)).read_bytes() for path in weights)
    assert first == same != other


def test_debug_info_is_logged() -> None:
    project = Project("max_iter: 1 debug_info: true")
    project.train()
    assert any("[Backward] All net params (data, diff)" in line for line in project.screen.lines)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_snapshot() -> None:
    project = Project("max_iter: 60 snapshot: 1")
    project.solver.write_text(project.solver.read_text().replace("base_lr: 0.01", "base_lr: 1e18"))
    with pytest.raises(CheckError) as caught:
        project.train()
    text = str(caught.value)
    assert "the first bad numbers are in" in text
    assert "layer 'conv" in text or "layer 'ip'" in text or "layer 'loss'" in text
    assert "the last snapshot is runs/tiny-001/snapshots/tiny_iter_" in text
    record = read_record(Path("runs/tiny-001"))
    assert (record["state"], record["error"]) == ("failed", text)
    for path in Path("runs/tiny-001/snapshots").glob("*.caffemodel"):
        for layer in read_caffemodel(path):
            assert all(np.isfinite(array).all() for array in layer.arrays)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ('max_iter: 3 type: "Adamax"', NetError, "solver.prototxt: unknown solver type 'Adamax'"),
        ('max_iter: 3 type: "AdaGrad"', NetError, "momentum is 0.9, but AdaGrad allows none"),
        ("max_iter: 3 test_iter: 2", NetError, "test_interval"),
        ("max_iter: 3 test_iter: 0 test_interval: 5", NetError, "test_iter number 0 is 0"),
        ('max_iter: 3 eval_type: "poses"', NetError, "eval_type is 'poses'"),
        ('max_iter: 3 train_net: "other"', NetError, "found net and train_net"),
        ("max_iter: 3 iter_size: 0", NetError, "iter_size is 0"),
        ("max_iter: 3 wibble: 4", NetError, r"solver.prototxt:5:\d+: .*wibble"),
        ('max_iter: 3 weights: "missing.caffemodel"', WeightsError, "missing.caffemodel"),
        ('max_iter: 3 snapshot_prefix: "images/list.txt/net"', DataError, "cannot write to snapshot_prefix"),
    ],
)
def test_what_is_wrong_is_said_before_a_folder_is_made(
    fields: str, error: type[CaffeflowError], words: str
) -> None:
    project = Project(fields)
    with pytest.raises(error, match=words):
        project.train()
    assert runs() == []


def test_without_h5py_there_are_no_snapshots_in_hdf5(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Project("max_iter: 3 snapshot_format: HDF5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert run(["train", "--solver", str(project.solver)]) == 2
    said = "this needs h5py, which is not installed: pip install 'caffeflow[formats]'"
    assert [line for line in capsys.readouterr().err.splitlines() if "h5py" in line] == [f"error: {said}"]
    assert runs() == []


def test_labels_beyond_the_classes_are_found_before_training() -> None:
    project = Project("max_iter: 3", classes=4)
    with pytest.raises(
        DataError, match=r"images/list.txt: 'of class 4/4.png': label 4, which 2 records have.*4 classes"
    ):
        project.train()
    assert runs() == []


def test_labels_of_an_infogain_loss_are_looked_at_too() -> None:
    project = Project("max_iter: 3", classes=4)
    path = project.solver.with_name("train_val.prototxt")
    matrix = 'InfogainLoss" infogain_loss_param { source: "h.binaryproto" }'
    text = path.read_text().replace('"Accuracy"', '"Silence"').replace('SoftmaxWithLoss"', matrix)
    path.write_text(text.replace('top: "accuracy"', ""))
    write_mean("h.binaryproto", np.eye(4, dtype=np.float32)[None])
    with pytest.raises(DataError, match=r"label 4.*4 classes.*layer 'loss'"):
        project.train()


def test_labels_are_looked_up_in_the_manifest() -> None:
    project = Project("max_iter: 3", classes=4)
    split = {
        "path": "list.txt", "root": "images", "count": 13, "rejected": {}, "unusual": {},
        "labels": {"0": 3, "4": 2}, "digest": "sha256:0",
    }  # fmt: skip
    manifest = {
        "format": 1, "caffeflow": "0", "name": "x", "source": "list", "backend": "imagedata", "encode": "png",
        "channels": 3, "height": 9, "width": 8, "classes": 5, "class_names": [], "splits": {"train": split},
        "mean": None, "settings": {},
    }  # fmt: skip
    Path("images/dataset.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"dataset.json: split 'list.txt': label 4, which 2 records have"):
        project.train()
    assert runs() == []


def test_a_net_beside_the_solver_is_not_taken_silently() -> None:
    project = Project("max_iter: 3")
    project.solver.write_text('net: "train_val.prototxt" base_lr: 1 lr_policy: "fixed" max_iter: 1')
    with pytest.raises(NetError, match=r"relative to the working directory.*lies beside the solver"):
        project.train()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"weights": ("a",), "snapshot": "b"}, "--weights and --snapshot"),
        ({"weights": ("a",), "resume": True}, "--resume goes on with what its run had.*--weights"),
        ({"snapshot": "a", "resume": True}, "--snapshot"),
        ({"engine": "caffe", "precision": "bf16"}, "fp32 only"),
        ({"engine": "caffe", "stages": ("deploy",)}, "--level and --stage are for --engine torch"),
        ({"caffe": Path("caffe")}, "--engine caffe"),
        ({"gpu": "0,1"}, "several GPUs"),
    ],
)
def test_options_that_contradict_each_other(settings: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Project().train(**settings)
    assert runs() == []


def test_a_run_folder_is_not_trained_into_twice() -> None:
    project = Project("max_iter: 2")
    project.train(out_dir=Path("mine"))
    before = Path("mine/run.json").read_text()
    with pytest.raises(UsageError, match="--out mine: holds a run already"):
        project.train(out_dir=Path("mine"))
    assert Path("mine/run.json").read_text() == before


def test_two_processes_do_not_share_a_run_folder() -> None:
    with RunFolder(Path("mine")), pytest.raises(UsageError, match="another process is training"):
        RunFolder(Path("mine"))
    RunFolder(Path("mine")).close()  # free again


def test_the_only_solver_is_found() -> None:
    with pytest.raises(UsageError, match=r"no solver under models/.*caffeflow render lenet"):
        find_solver()
    Project()
    assert find_solver() == Path("models/tiny/solver.prototxt")
    Path("models/other").mkdir()
    Path("models/other/solver.prototxt").write_text("")
    with pytest.raises(UsageError, match=r"2 solvers(.|\n)*--solver models/other/solver.prototxt"):
        find_solver()


def test_of_several_solvers_the_newest_unfinished_run_goes_on() -> None:
    project = Project("max_iter: 2")
    Path("models/other").mkdir()
    Path("models/other/solver.prototxt").write_text("")
    with pytest.raises(UsageError, match="2 solvers"):
        find_solver_to_resume()
    run = project.train().run_dir
    with pytest.raises(UsageError, match="2 solvers"):
        find_solver_to_resume()  # it is finished
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"state": "running"}))
    assert find_solver_to_resume() == project.solver
    assert find_solver_to_resume(run) == project.solver
    (run / "run.json").write_text(json.dumps(record | {"state": "running", "solver": "gone.prototxt"}))
    with pytest.raises(UsageError, match="2 solvers"):
        find_solver_to_resume()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("name", ["caffe.log", "a snapshot"])
def test_a_full_disk_ends_the_run_in_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    project = Project("max_iter: 6 snapshot: 2")
    Path("mine").mkdir()
    if name == "caffe.log":
        Path("mine/caffe.log").symlink_to("/dev/full")
    else:
        monkeypatch.setattr("os.fsync", _full_after(os.fsync, calls=12))
    with pytest.raises(DataError, match=r"mine/.*: cannot write: No space left on device"):
        project.train(out_dir=Path("mine"))
    record = read_record(Path("mine"))
    assert (record["state"], "No space left" in record["error"]) == ("failed", True)


def _full_after(fsync: Callable[[int], None], *, calls: int) -> Callable[[int], None]:
    """An fsync that finds the disk full once, after so many calls."""
    count = 0

    def full(handle: int) -> None:
        nonlocal count
        count += 1
        if count == calls:
            raise OSError(errno.ENOSPC, "No space left on device")
        fsync(handle)

    return full
