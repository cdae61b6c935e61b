"""Snapshots: what is in the files, in which order they come, and going on from them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from caffeflow.engine import snapshot
from caffeflow.engine.snapshot import (
    SnapshotFiles,
    complete_snapshots,
    find_newest,
    restore_snapshot,
    resume_from,
    write_snapshot,
)
from caffeflow.engine.snapshot_formats import hdf5_remarks, read_state
from caffeflow.engine.solver import Solver
from caffeflow.engine.training import FusedExecutor
from caffeflow.errors import DataError, NetError, WeightsError
from caffeflow.proto.binary import read_caffemodel, read_solverstate
from caffeflow.proto.hdf5_state import read_hdf5_state
from tests.support.engine_nets import (
    SMALL,
    batch,
    images,
    inner_product,
    layer,
    net_of,
    softmax_loss,
    solver_of,
)

DROPPED = (
    images(3, 2, 11, 7)
    + inner_product("ip1", "data", "ip1", 11)
    + layer("drop", "Dropout", "ip1", "ip1")
    + inner_product("ip2", "ip1", "ip2", 5)
    + softmax_loss("ip2")
)
EITHER = pytest.mark.parametrize("hdf5", [False, True], ids=["binary", "hdf5"])
FIELDS = "base_lr: 0.05 momentum: 0.9 average_loss: 3 max_iter: 9"


def made(text: str = SMALL, fields: str = FIELDS, *, seed: int = 3) -> Solver:
    net = net_of(text, seed=seed)
    executor = FusedExecutor(net)
    return Solver(solver_of(fields), net, executor, channels_last=executor.channels_last)


def train(solver: Solver, until: int) -> list[float]:
    losses = []
    while solver.iteration < until:
        feeds = batch(solver.net, seed=solver.iteration)
        losses.append(solver.step(lambda feeds=feeds: feeds).smoothed)
    return losses


def test_the_files_are_caffes(tmp_path: Path) -> None:
    solver = made(fields=FIELDS + ' type: "Adam"')
    train(solver, 4)
    files = write_snapshot(str(tmp_path / "net"), solver, positions={})
    assert files.caffemodel == str(tmp_path / "net_iter_4.caffemodel")
    state = read_solverstate(files.solverstate)
    assert (state.iteration, state.learned_net, state.current_step) == (4, files.caffemodel, 0)
    shapes = [blob.shape for blob in solver.net.learned]
    assert [array.shape for array in state.history] == shapes * 2  # first moments, then second ones
    assert len(shapes) == 6
    weights = {one.name: one for one in read_caffemodel(files.caffemodel)}
    assert list(weights) == [one.name for one in solver.net.layers]
    np.testing.assert_array_equal(
        weights["conv1"].arrays[0], solver.net.layers[1].tensors[0].detach().numpy()
    )


@EITHER
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_resuming_ends_in_the_weights_of_an_unbroken_run(tmp_path: Path, kind: str, hdf5: bool) -> None:
    fields = f'{FIELDS} type: "{kind}"'
    whole = made(DROPPED, fields)
    losses = train(whole, 9)

    first = made(DROPPED, fields)
    train(first, 4)
    files = write_snapshot(str(tmp_path / "net"), first, positions={"record": 17}, hdf5=hdf5)
    second = made(DROPPED, fields, seed=99)
    torch.rand(3)  # other random numbers have been drawn meanwhile
    assert resume_from(files, second) == {"record": 17}
    assert train(second, 9) == losses[4:]
    assert torch.equal(second.flat.data, whole.flat.data)
    for ours, theirs in zip(second.update.history(), whole.update.history(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@EITHER
def test_caffes_rule_restores_weights_history_and_iteration(tmp_path: Path, hdf5: bool) -> None:
    fields = FIELDS.replace(
        "max_iter", 'gamma: 0.5 stepvalue: 2 stepvalue: 7 lr_policy: "multistep" max_iter'
    )
    first = made(fields=fields)
    train(first, 4)
    files = write_snapshot(str(tmp_path / "net"), first, positions={}, hdf5=hdf5)
    Path(files.resume).unlink()  # Caffe has none
    second = made(fields=fields, seed=8)
    restore_snapshot(files.solverstate, second)
    assert (second.iteration, second.rate.state.step) == (4, 1)
    assert torch.equal(second.flat.data, first.flat.data)
    feeds = batch(first.net, seed=50)
    ours, theirs = second.step(lambda: feeds), first.step(lambda: feeds)
    assert (ours.loss, ours.rate) == (theirs.loss, theirs.rate)
    assert torch.equal(second.flat.data, first.flat.data)
    assert ours.smoothed == ours.loss  # the window starts anew, as in Caffe


@EITHER
def test_the_plateau_that_was_watched_is_kept(tmp_path: Path, hdf5: bool) -> None:
    fields = FIELDS + ' gamma: 0.5 lr_policy: "plateau" plateau_winsize: 2 plateau_winsize: 3'
    first = made(fields=fields)
    train(first, 5)
    files = write_snapshot(str(tmp_path / "net"), first, positions={}, hdf5=hdf5)
    second = made(fields=fields)
    restore_snapshot(files.solverstate, second)
    assert second.rate.state == first.rate.state
    assert second.rate.state.minimum_loss < 10
    others = write_snapshot(str(tmp_path / "b"), made(), positions={}, hdf5=hdf5)
    assert read_state(others.solverstate).minimum_loss is None


@EITHER
def test_an_interrupted_snapshot_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hdf5: bool) -> None:
    prefix = str(tmp_path / "net")
    solver = made()
    train(solver, 2)
    write_snapshot(prefix, solver, positions={"run": "a"}, hdf5=hdf5)
    train(solver, 4)
    for last in ("write_weights", "write_text", "write_state"):

        def stop(*_args, **_kwargs):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(snapshot, last, stop)
            with pytest.raises(KeyboardInterrupt):
                write_snapshot(prefix, solver, positions={"run": "a"}, hdf5=hdf5)
        assert [files.iteration for files in complete_snapshots(prefix)] == [2]
    write_snapshot(prefix, solver, positions={"run": "a"}, hdf5=hdf5)
    assert [files.iteration for files in complete_snapshots(prefix)] == [2, 4]


def test_a_snapshot_written_over_is_never_half_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = str(tmp_path / "net")
    old, new = made(seed=1), made(seed=2)
    for solver in (old, new):
        train(solver, 2)
    write_snapshot(prefix, old, positions={})

    def stop(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(snapshot, "write_text", stop)
    with pytest.raises(KeyboardInterrupt):
        write_snapshot(prefix, new, positions={})
    assert complete_snapshots(prefix) == []


def test_hdf5_files_are_named_as_caffe_names_them(tmp_path: Path) -> None:
    write_snapshot(str(tmp_path / "net"), made(), positions={}, hdf5=True)
    endings = ["caffemodel.h5", "resume.h5.json", "solverstate.h5"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"net_iter_0.{each}" for each in endings]
    state = read_hdf5_state(tmp_path / "net_iter_0.solverstate.h5")
    assert state.learned_net == str(tmp_path / "net_iter_0.caffemodel.h5")


def test_the_formats_may_lie_side_by_side(tmp_path: Path) -> None:
    prefix = str(tmp_path / "net")
    solver = made()
    for iteration, run, hdf5 in ((2, "mine", False), (5, "other", False), (5, "mine", True)):
        solver.iteration = iteration
        write_snapshot(prefix, solver, positions={"run": run}, hdf5=hdf5)
    assert len(complete_snapshots(prefix)) == 3
    assert find_newest(prefix, run="mine") == SnapshotFiles(prefix, 5, is_hdf5=True)
    assert find_newest(prefix, run="other") == SnapshotFiles(prefix, 5)


def test_a_file_is_read_as_what_it_is_whatever_its_name(tmp_path: Path) -> None:
    first = made(seed=4)
    files = write_snapshot(str(tmp_path / "net"), first, positions={}, hdf5=True)
    second = made(seed=5)
    restore_snapshot(str(Path(files.solverstate).rename(tmp_path / "renamed.solverstate")), second)
    assert torch.equal(second.flat.data, first.flat.data)


def test_the_newest_of_a_run_is_found_among_others(tmp_path: Path) -> None:
    prefix = str(tmp_path / "net")
    solver = made()
    for iteration, run in ((2, "mine"), (3, "mine"), (5, "other")):
        solver.iteration = iteration
        write_snapshot(prefix, solver, positions={"run": run})
    solver.iteration = 9
    write_snapshot(prefix + "_iter_7", solver, positions={"run": "mine"})  # another prefix
    assert find_newest(prefix, run="mine") == SnapshotFiles(prefix, 3)
    assert find_newest(prefix, run="third") is None
    assert find_newest(str(tmp_path / "nowhere" / "net"), run="mine") is None


@EITHER
def test_the_snapshot_of_another_net_is_refused(tmp_path: Path, hdf5: bool) -> None:
    prefix = str(tmp_path / "net")
    files = write_snapshot(prefix, made(), positions={}, hdf5=hdf5)
    with pytest.raises(WeightsError, match="conv1"):
        restore_snapshot(files.solverstate, made(SMALL.replace("num_output: 7", "num_output: 3")))
    with pytest.raises(WeightsError, match="history has 6 blobs, this solver and net want 12"):
        restore_snapshot(files.solverstate, made(fields=FIELDS + ' type: "Adam"'))


def test_missing_weights_are_named_with_where_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_snapshot("net", made(), positions={})
    monkeypatch.chdir(tmp_path / "there")
    with pytest.raises(
        WeightsError, match=r"'net_iter_0.caffemodel' are missing; one of that name lies beside"
    ):
        restore_snapshot("../here/net_iter_0.solverstate", made())


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda text: text[:50], "cannot be read"),
        (lambda text: "[" * 100_000, "cannot be read"),
        (lambda text: "[1]", "lacks format, policy"),
        (lambda text: text.replace('"smoothed"', '"other"'), "lacks smoothed"),
        (lambda text: json.dumps(json.loads(text) | {"format": 9}), "has format 9"),
    ],
)
def test_a_damaged_side_file_is_named(tmp_path: Path, spoil, words: str) -> None:
    files = write_snapshot(str(tmp_path / "net"), made(), positions={})
    path = Path(files.resume)
    path.write_text(spoil(path.read_text()))
    with pytest.raises(WeightsError, match=f"resume.json: {words}.*--snapshot"):
        resume_from(files, made())


def test_what_caffe_leaves_out_of_hdf5_is_found_with_its_owner(tmp_path: Path) -> None:
    shared = (
        images(3, 2, 11, 7)
        + inner_product("ip1", "data", "ip1", 5, 'param { name: "w" }')
        + inner_product("ip2", "data", "ip2", 5, 'param { name: "w" }')
        + layer("sum", "Eltwise", "ip1 ip2", "sum")
        + softmax_loss("sum")
    )
    first, second = made(shared, seed=1), made(shared, seed=2)
    files = write_snapshot(str(tmp_path / "net"), first, positions={}, hdf5=True)
    with h5py.File(files.caffemodel, "a") as file:  # as Caffe would have written it
        del file["caffeflow"], file["data/ip2/0"]
    restore_snapshot(files.solverstate, second)
    assert torch.equal(second.flat.data, first.flat.data)
    with h5py.File(files.caffemodel, "a") as file:
        del file["data/ip2/1"], file["data/ip1/0"]
    with pytest.raises(WeightsError, match="layer 'ip1' lacks its blob 0"):
        restore_snapshot(files.solverstate, second)


def test_names_that_hdf5_cannot_hold_are_found_before_the_run() -> None:
    def remarks(name: str) -> list[str]:
        text = images(3, 2) + inner_product("ip1", "data", "a", 5) + inner_product(name, "a", "b", 5)
        return [line.text for line in hdf5_remarks(net_of(text + softmax_loss("b")))]

    assert remarks("ip2") == []
    assert remarks("res/ip2")[0].endswith("finds no layer with a '/' in its name: 'res/ip2'")
    with pytest.raises(NetError, match="snapshot_format is HDF5: two layers are named 'ip1'"):
        remarks("ip1")
    with pytest.raises(NetError, match="'ip1/0/0' would be a blob and a layer"):
        remarks("ip1/0")
    with pytest.raises(NetError, match="cannot hold a layer named 'a//b'"):
        remarks("a//b")


def test_a_prefix_that_cannot_be_written_is_found_before_the_run(tmp_path: Path) -> None:
    snapshot.check_prefix(str(tmp_path / "new" / "net"))
    assert list((tmp_path / "new").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write to snapshot_prefix"):
        snapshot.check_prefix(str(tmp_path / "file" / "net"))


def test_of_one_iteration_in_both_formats_the_last_written_is_the_newest(tmp_path: Path) -> None:
    prefix = str(tmp_path / "net")
    solver = made(DROPPED, FIELDS)
    for hdf5 in (True, False, True):
        files = write_snapshot(prefix, solver, positions={"run": "mine"}, hdf5=hdf5)
        for other in complete_snapshots(prefix):
            if other != files:  # clocks of file systems may stand still between two files
                os.utime(other.solverstate, (1, 1))
        assert find_newest(prefix, run="mine") == files
