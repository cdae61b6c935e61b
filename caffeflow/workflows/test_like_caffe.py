"""`caffeflow test --like-caffe`: the figures and lines of `caffe test`.

It takes a number of whole batches, goes around the end of the data, and weighs all batches alike; so its
figures are those of a log made by Caffe, and not those of the data. Boxes are tested as a solver does it,
since `caffe test` has no figures for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from caffeflow.engine import lines
from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.lines import Element, LogLine, number
from caffeflow.engine.testing import TestPass, elements_of, lines_of
from caffeflow.evaluate.detection import find_tally
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import read_net
from caffeflow.workflows.preflight import is_detection
from caffeflow.workflows.test import Bench, TestSettings, open_bench
from caffeflow.workflows.test_detection_net import find_solver_beside
from caffeflow.workflows.test_subject import find_net

_BATCHES: Final = 50  # Caffe's default of -iterations


def score_like_caffe(
    settings: TestSettings,
    *,
    iterations: int | None,
    note: Callable[[str], None],
    on_line: Callable[[LogLine], None],
) -> dict[str, object]:
    """Tests a net as `caffe test` does, and returns the means.

    Args:
        settings: What is asked for.
        iterations: How many batches; None: as many as Caffe takes, of boxes as the solver beside the net.
        note: Gets sentences on what was decided or found.
        on_line: Gets Caffe's log lines.

    Raises:
        CaffeflowError: As `caffeflow.workflows.test.score_net`.
    """
    path = find_net(settings.net)
    if is_detection(filter_net(read_net(path).net, net_state("TEST"))):
        return _score_detections(settings, _solver_for(path, settings, iterations), note, on_line)
    iterations = iterations or _BATCHES
    bench = open_bench(settings, note)
    for line in _first_lines(bench, iterations):
        on_line(line)
    losses: list[float] = []
    batches: list[Sequence[Element]] = []
    with closing(open_feed(bench.subject.data, phase="TEST", seed=0)) as feed:
        for batch in range(iterations):
            result = bench.executor.forward(bench.feeds(feed.next()))
            losses.append(float(result.loss))
            batches.append(elements_of(bench.executor.net, result.outputs))
            for element in batches[-1]:
                on_line(LogLine("caffe.cpp:304", f"Batch {batch}, {element.blob} = {number(element.value)}"))
    means = [
        Element(column[0].blob, sum(each.value for each in column) / iterations, column[0].weight)
        for column in zip(*batches, strict=True)
    ]
    loss = sum(losses) / iterations
    on_line(LogLine("caffe.cpp:309", f"Loss: {number(loss)}"))
    for mean in means:
        on_line(LogLine("caffe.cpp:321", lines.with_loss(mean)))
    return {
        "net": str(bench.subject.path),
        "weights": str(bench.weights),
        "iterations": iterations,
        "loss": loss,
        "outputs": [{"blob": mean.blob, "value": mean.value} for mean in means],
    }


def _solver_for(path: Path, settings: TestSettings, iterations: int | None) -> SolverParameter:
    """Returns the solver beside a net, with what the user asks for instead."""
    solver = SolverParameter(eval_type="detection", test_iter=[_BATCHES])
    solver.MergeFrom(find_solver_beside(path) or SolverParameter())
    taken = iterations or solver.test_iter[-1]
    solver.ClearField("test_iter")
    solver.test_iter.append(taken)
    if settings.detection.ap is not None:
        solver.ap_version = settings.detection.ap
    return solver


def _score_detections(
    settings: TestSettings,
    solver: SolverParameter,
    note: Callable[[str], None],
    on_line: Callable[[LogLine], None],
) -> dict[str, object]:
    bench = open_bench(settings, note, solver=solver)
    (iterations,) = solver.test_iter
    for line in (*_first_lines(bench, iterations), lines.testing(0, 0)):
        on_line(line)
    with closing(open_feed(bench.subject.data, phase="TEST", seed=0)) as feed:
        scores = TestPass(
            bench.executor,
            lambda: bench.feeds(feed.next()),
            iterations=iterations,
            new_tally=find_tally(solver),
        ).run()
    assert scores is not None  # noqa: S101 - nothing stops it
    for detected in scores.detected:
        for line in lines_of(detected, with_classes=True):
            on_line(line)
    return {
        "net": str(bench.subject.path),
        "weights": str(bench.weights),
        "iterations": iterations,
        "ap_version": solver.ap_version,
        "outputs": [{"blob": each.blob, "value": each.value} for each in scores.elements],
    }


def _first_lines(bench: Bench, iterations: int) -> Iterator[LogLine]:
    device = bench.executor.net.device
    if device.type == "cuda":
        yield LogLine("caffe.cpp:267", f"Use GPU with device ID {device.index}")
    else:
        yield LogLine("caffe.cpp:275", "Use CPU.")
    yield LogLine("caffe.cpp:281", f"Running for {iterations} iterations.")
