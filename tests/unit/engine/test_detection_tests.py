"""Tests of detections in a training: rows to whoever counts them, Caffe's lines out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from caffeflow.engine.loop import Run, Tested
from caffeflow.engine.signals import Requests
from caffeflow.engine.solver import Solver
from caffeflow.engine.testing import TestPass
from caffeflow.engine.training import FusedExecutor
from caffeflow.errors import NetError
from caffeflow.evaluate.detection import DetectionTally
from tests.support.engine_nets import SMALL, batch, layer, net_of, solver_of

COUNTS = [(-1, 1, 1, -1, -1), (-1, 2, 1, -1, -1), (-1, 3, 0, -1, -1)]
BATCHES = [
    [*COUNTS, (0, 1, 0.9, 1, 0), (0, 2, 0.8, 0, 1)],
    [*COUNTS, (0, 2, 0.7, 1, 0), (1, 1, 0.6, 0, 0), (1, 1, 0.5, 0, 1), (1, 2, 0.4, 0, 1)],
]


def rows_net(*tops: str, width: int = 5):
    """A net whose outputs are whatever it is fed."""
    shapes = f"shape {{ dim: 1 dim: 1 dim: 3 dim: {width} }}" * len(tops)
    return net_of(layer("rows", "Input", "", " ".join(tops), f"input_param {{ {shapes} }}"), phase="TEST")


class Batches:
    """Feeds the rows of one batch after the other to each top."""

    def __init__(self, *of_tops: list[list[tuple[float, ...]]]) -> None:
        self.of_tops = of_tops
        self.done = 0

    def __call__(self):
        number = self.done % len(BATCHES)
        self.done += 1
        return {"rows": tuple(torch.tensor(rows[number])[None, None] for rows in self.of_tops)}


class Heard:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.tests: list[Tested] = []

    def line(self, line) -> None:
        self.lines.append(line.with_prefix())

    def shown(self, shown) -> None: ...

    def tested(self, tested: Tested) -> None:
        self.tests.append(tested)

    def iterated(self, done: int) -> None: ...

    def snapshotted(self, files) -> None: ...


def heard_of(tmp_path: Path, net, batches: Batches, solver: str = "") -> Heard:
    """Runs one iteration with a test of detections before it."""
    parameters = solver_of(
        f'base_lr: 0.01 max_iter: 1 test_iter: 2 test_interval: 5 eval_type: "detection" {solver}'
    )
    train, heard = net_of(SMALL), Heard()
    tested = TestPass(
        FusedExecutor(net), batches, iterations=2, new_tally=lambda: DetectionTally(parameters.ap_version)
    )
    run = Run(
        parameters,
        Solver(parameters, train, FusedExecutor(train)),
        next_feeds=lambda: batch(train),
        tests=[tested],
        snapshot_prefix=str(tmp_path / "net"),
        positions=dict,
        listener=heard,
        requests=Requests(),
    )
    run.solve()
    return heard


def test_the_lines_are_caffes(tmp_path: Path) -> None:
    net = rows_net("detection_eval")
    heard = heard_of(tmp_path, net, Batches(BATCHES), "show_per_class_result: true test_compute_loss: true")
    start = next(place for place, line in enumerate(heard.lines) if "Testing net (#0)" in line)
    said = heard.lines[start + 1 : start + 6]
    assert [line.partition("] ")[2] for line in said] == [
        "Test loss: 0",
        "class1: 0.5",  # one of two boxes found, at precision 1
        "class2: 0.25",  # one of two, at precision 1/2
        "Missing true_pos for label: 3",
        "    Test net output #0: detection_eval = 0.25",
    ]
    assert [line[0] for line in said] == ["I", "I", "I", "W", "I"]


def test_single_classes_are_shown_where_the_solver_says_so(tmp_path: Path) -> None:
    heard = heard_of(tmp_path, rows_net("detection_eval"), Batches(BATCHES))
    assert not any("class1" in line for line in heard.lines)
    (tested,) = heard.tests
    assert [(element.blob, element.value) for element in tested.elements] == [("detection_eval", 0.25)]
    (output,) = tested.detected
    assert [(one.label, one.boxes, one.detections, one.ap) for one in output.score.classes] == [
        (1, 2, 2, 0.5), (2, 2, 3, 0.25), (3, 0, 0, 0.0),
    ]  # fmt: skip


def test_ap_version_decides(tmp_path: Path) -> None:
    heard = heard_of(tmp_path, rows_net("detection_eval"), Batches(BATCHES), 'ap_version: "11point"')
    assert heard.tests[0].elements[0].value == pytest.approx((6 / 11 + 6 / 11 / 2) / 3)


def test_an_output_without_detections_is_not_printed_and_keeps_its_number(tmp_path: Path) -> None:
    empty = [COUNTS, COUNTS]
    heard = heard_of(tmp_path, rows_net("a", "b"), Batches(empty, BATCHES))
    outputs = [line.partition("] ")[2] for line in heard.lines if "Test net output" in line]
    assert outputs == ["    Test net output #1: b = 0.25"]
    assert [element.blob for element in heard.tests[0].elements] == ["b"]


def test_every_output_must_have_rows_of_five() -> None:
    net = rows_net("a", width=7)
    with pytest.raises(NetError, match=r"output 'a' of the test net is 1 x 1 x 3 x 7.*rows of 5.*Silence"):
        TestPass(FusedExecutor(net), Batches(), iterations=1, new_tally=lambda: DetectionTally("Integral"))


def test_a_stop_ends_the_pass() -> None:
    done = []
    test = TestPass(
        FusedExecutor(rows_net("a")),
        Batches(BATCHES),
        iterations=2,
        new_tally=lambda: DetectionTally("Integral"),
    )
    assert test.run(lambda: bool(done) or done.append(1) is not None) is None
    assert done == [1]
