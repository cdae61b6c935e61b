"""When things happen in a run: tests, displays, snapshots, the last forward."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from caffeflow.engine.loop import Outcome, Run, Shown, Tested
from caffeflow.engine.signals import Requests
from caffeflow.engine.snapshot import SnapshotFiles, complete_snapshots
from caffeflow.engine.solver import Solver
from caffeflow.engine.testing import TestPass
from caffeflow.engine.training import FusedExecutor
from caffeflow.errors import CheckError
from tests.support.engine_nets import SMALL, batch, net_of, solver_of


class Heard:
    """Writes down what happens, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.figures: list[Shown | Tested] = []
        self.done: list[int] = []
        self.snapshots: list[int] = []
        self.on_iteration = lambda done: None

    def line(self, line) -> None:
        self.said.append(line.text)

    def shown(self, shown: Shown) -> None:
        self.figures.append(shown)

    def tested(self, tested: Tested) -> None:
        self.figures.append(tested)

    def iterated(self, done: int) -> None:
        self.done.append(done)
        self.on_iteration(done)

    def snapshotted(self, files: SnapshotFiles) -> None:
        self.snapshots.append(files.iteration)

    def kinds(self) -> list[str]:
        """What was said, cut down to what it is about."""
        words = {
            "Testing net": "test", "loss = ": "loss", ", lr =": "lr", "Snapshotting to": "snapshot",
            "stopped early": "stopped", "Test interrupted": "interrupted", "Optimization Done": "done",
        }  # fmt: skip
        kinds = []
        for text in self.said:
            if text.startswith("Iteration") or not text.startswith(("Iteration", " ")):
                number = text.split()[1].strip(",") if text.startswith("Iteration") else ""
                kinds += [f"{kind} {number}".strip() for word, kind in words.items() if word in text]
        return kinds


class Trained:
    """A run on a small net with counted batches."""

    def __init__(self, tmp_path: Path, solver: str, *, tests: int = 1) -> None:
        self.parameters = solver_of(f"base_lr: 0.01 {solver}")
        self.net = net_of(SMALL)
        self.solver = Solver(self.parameters, self.net, FusedExecutor(self.net))
        self.heard, self.requests = Heard(), Requests()
        self.train_batches = self.test_batches = 0
        self.prefix = str(tmp_path / "net")
        self.passes = []
        for number in range(tests):
            net = net_of(SMALL, phase="TEST", seed=None)
            net.share(self.net)
            self.passes.append(
                TestPass(FusedExecutor(net), self._next_test, iterations=self.parameters.test_iter[number])
            )

    def solve(self, *, keeps_stopped: bool = True) -> Outcome:
        run = Run(
            self.parameters,
            self.solver,
            next_feeds=self._next_train,
            tests=self.passes,
            snapshot_prefix=self.prefix,
            positions=lambda: {"train": self.train_batches, "test": self.test_batches},
            listener=self.heard,
            requests=self.requests,
            keeps_stopped=keeps_stopped,
        )
        return run.solve()

    def _next_train(self):
        self.train_batches += 1
        return batch(self.net, seed=self.train_batches)

    def _next_test(self):
        self.test_batches += 1
        return batch(self.net, seed=1000 + self.test_batches)


def test_everything_happens_when_caffe_does_it(tmp_path: Path) -> None:
    run = Trained(tmp_path, "max_iter: 6 display: 2 test_iter: 3 test_interval: 4 snapshot: 3")
    outcome = run.solve()
    assert outcome == Outcome(6, is_complete=True)
    assert run.heard.kinds() == [
        "test 0", "loss 0", "lr 0", "loss 2", "lr 2", "snapshot", "test 4", "loss 4", "lr 4", "snapshot",
        "loss 6", "done",
    ]  # fmt: skip
    assert run.heard.snapshots == [3, 6]
    assert run.heard.done == [1, 2, 3, 4, 5, 6]
    assert run.train_batches == 7  # one more for the last loss line
    assert run.test_batches == 6
    assert [files.iteration for files in complete_snapshots(run.prefix)] == [3, 6]


def test_a_run_ends_with_a_test_where_one_is_due(tmp_path: Path) -> None:
    run = Trained(
        tmp_path, "max_iter: 4 test_iter: 2 test_interval: 2 test_initialization: false snapshot: 100"
    )
    run.solve()
    assert run.heard.kinds() == ["test 2", "snapshot", "test 4", "done"]


def test_no_snapshot_after_training_where_the_solver_wants_none(tmp_path: Path) -> None:
    run = Trained(tmp_path, "max_iter: 4 snapshot_after_train: false", tests=0)
    run.solve()
    assert run.heard.snapshots == []


def test_two_test_nets_are_numbered(tmp_path: Path) -> None:
    run = Trained(tmp_path, "max_iter: 1 test_iter: 1 test_iter: 2 test_interval: 1", tests=2)
    run.solve()
    tested = [figures for figures in run.heard.figures if isinstance(figures, Tested)]
    assert [(one.iteration, one.net) for one in tested] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert run.test_batches == 6


def test_scores_are_means_over_batches(tmp_path: Path) -> None:
    run = Trained(tmp_path, "max_iter: 1 test_iter: 3 test_interval: 5 test_compute_loss: true snapshot: 9")
    run.solve()
    (tested,) = (figures for figures in run.heard.figures if isinstance(figures, Tested))
    net = net_of(SMALL, phase="TEST")
    executor = FusedExecutor(net)
    each = [executor.forward(batch(net, seed=1000 + number)) for number in (1, 2, 3)]
    assert [(one.blob, one.weight) for one in tested.elements] == [("accuracy", 0), ("loss", 1)]
    for element in tested.elements:
        mean = sum(float(result.outputs[element.blob]) for result in each) / 3
        assert element.value == pytest.approx(mean, rel=1e-5)
    assert tested.loss == pytest.approx(tested.elements[1].value)
    assert any(text.startswith("Test loss: ") for text in run.heard.said)


def test_a_stop_snapshots_and_says_so(tmp_path: Path) -> None:
    run = Trained(tmp_path, "max_iter: 9 test_iter: 1 test_interval: 3 snapshot_after_train: false")

    def stop(done: int) -> None:
        run.requests.stop = done == 4

    run.heard.on_iteration = stop
    assert run.solve() == Outcome(4, is_complete=False)
    assert run.heard.snapshots == [4]
    assert run.heard.kinds()[-2:] == ["snapshot", "stopped"]


@pytest.mark.parametrize(("after", "kept"), [("true", [4]), ("false", [])])
def test_a_stop_snapshots_as_caffes_where_that_is_asked_for(
    after: str, kept: list[int], tmp_path: Path
) -> None:
    run = Trained(tmp_path, f"max_iter: 9 snapshot_after_train: {after}", tests=0)

    def stop(done: int) -> None:
        run.requests.stop = done == 4

    run.heard.on_iteration = stop
    assert run.solve(keeps_stopped=False) == Outcome(4, is_complete=False)
    assert run.heard.snapshots == kept
    assert run.heard.kinds()[-1] == "stopped"


def test_sighup_snapshots_and_goes_on(tmp_path: Path) -> None:
    run = Trained(tmp_path, "max_iter: 5", tests=0)

    def ask(done: int) -> None:
        run.requests.snapshot = done == 2

    run.heard.on_iteration = ask
    assert run.solve().is_complete
    assert run.heard.snapshots == [2, 5]


def test_a_stop_during_a_test_leaves_the_data_where_the_test_began(tmp_path: Path) -> None:
    run = Trained(tmp_path, "max_iter: 5 test_iter: 4 test_interval: 2 test_initialization: false")
    fetch = run._next_test

    def next_test():
        run.requests.stop = run.test_batches == 1
        return fetch()

    run.passes[0]._next_feeds = next_test
    kept = []
    solve_positions = {"train": 2, "test": 0}
    run.heard.snapshotted = lambda files: kept.append(files)
    assert run.solve() == Outcome(2, is_complete=False)
    assert run.test_batches == 2
    assert "Test interrupted." in run.heard.said
    text = Path(kept[0].resume).read_text()
    assert f'"positions": {{"train": {solve_positions["train"]}, "test": {solve_positions["test"]}}}' in text


def test_weights_that_are_no_numbers_are_not_written(tmp_path: Path) -> None:
    run = Trained(tmp_path, "max_iter: 4 snapshot: 2", tests=0)

    def spoil(done: int) -> None:
        if done == 4:
            run.solver.flat.data[5] = float("nan")

    run.heard.on_iteration = spoil
    with pytest.raises(CheckError, match="after iteration 4; no snapshot was"):
        run.solve()
    assert [files.iteration for files in complete_snapshots(run.prefix)] == [2]


def test_nothing_is_done_beyond_max_iter(tmp_path: Path) -> None:
    run = Trained(tmp_path, "max_iter: 3", tests=0)
    run.solver.iteration = 3
    before = run.solver.flat.data.clone()
    assert run.solve() == Outcome(3, is_complete=True)
    assert torch.equal(run.solver.flat.data, before)
    assert run.heard.snapshots == []
