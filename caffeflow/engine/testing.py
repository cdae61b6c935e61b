"""A test pass: some batches forward, and the mean of every output element over them.

Caffe's rules: each batch counts the same, elements are numbered through in the byte order of their
blobs' names, and the data of a test net goes on where its last pass ended. A test of detections has rows
for outputs instead, as many as come; what they amount to is worked out by whoever is passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor

from caffeflow.engine import lines
from caffeflow.engine.detection import ROW, Detected, NewTally
from caffeflow.engine.lines import Element, LogLine
from caffeflow.engine.net import Net
from caffeflow.engine.solver import NextFeeds
from caffeflow.engine.training import Feeds, Result
from caffeflow.errors import NetError
from caffeflow.layers.params import dims


@dataclass(frozen=True)
class TestScores:
    """The means of a test pass.

    Attributes:
        elements: Every element of the outputs; of detections, the mean over classes.
        detected: Of detections only: one score for each output.
    """

    __test__ = False  # no test, whatever its name begins with

    loss: float
    elements: tuple[Element, ...]
    detected: tuple[Detected, ...] = ()


class Forward(Protocol):
    """What runs a net to test forward."""

    @property
    def net(self) -> Net:
        """The net."""
        ...

    def forward(self, feeds: Feeds) -> Result:
        """Runs it on one batch."""
        ...


class TestPass:
    """A net to test and where its batches come from.

    Args:
        executor: Runs the net.
        next_feeds: The next batch.
        iterations: How many batches make a pass.
        new_tally: What takes the rows of a test of detections; None: outputs are averaged.

    Raises:
        NetError: An output of a test of detections has no such rows.
    """

    __test__ = False

    def __init__(
        self,
        executor: Forward,
        next_feeds: NextFeeds,
        *,
        iterations: int,
        new_tally: NewTally | None = None,
    ) -> None:
        self.net: Final = executor.net
        self._executor: Final = executor
        self._next_feeds: Final = next_feeds
        self._iterations: Final = iterations
        self._new_tally: Final = new_tally
        if new_tally is not None:
            _check_rows(executor.net)

    def run(self, should_stop: Callable[[], bool] = lambda: False) -> TestScores | None:
        """Returns the scores, or None if it was stopped on the way."""
        if self._new_tally is not None:
            return self._detect(self._new_tally, should_stop)
        return self._average(should_stop)

    def _average(self, should_stop: Callable[[], bool]) -> TestScores | None:
        sums: dict[str, Tensor] = {}
        loss = torch.zeros((), device=self._executor.net.device)
        for _ in range(self._iterations):
            if should_stop():
                return None
            result = self._executor.forward(self._next_feeds())
            loss = loss + result.loss
            for blob, value in result.outputs.items():
                flat = value.float().flatten()
                sums[blob] = sums[blob] + flat if blob in sums else flat
        means = {blob: total / self._iterations for blob, total in sums.items()}
        return TestScores(float(loss) / self._iterations, elements_of(self._executor.net, means))

    def _detect(self, new_tally: NewTally, should_stop: Callable[[], bool]) -> TestScores | None:
        blobs = [output.value.blob for output in self.net.outputs]
        tallies = {blob: new_tally() for blob in blobs}
        loss = 0.0
        for _ in range(self._iterations):
            if should_stop():
                return None
            result = self._executor.forward(self._next_feeds())
            loss += float(result.loss)
            for blob, tally in tallies.items():
                tally.add(result.outputs[blob].float().cpu().numpy().reshape(-1, ROW))
        scores = {blob: tally.result() for blob, tally in tallies.items()}
        # Caffe prints no figure for an output without any detection (solver.cpp TestDetection).
        return TestScores(
            loss / self._iterations,
            tuple(Element(blob, score.mean, 0.0) for blob, score in scores.items() if score.has_detections),
            tuple(
                Detected(place=place, blob=blob, score=scores[blob])
                for place, blob in enumerate(blobs)
                if scores[blob].has_detections
            ),
        )


def elements_of(net: Net, outputs: Mapping[str, Tensor]) -> tuple[Element, ...]:
    """Returns every element of a net's outputs in the order in which Caffe prints them."""
    return tuple(
        Element(output.value.blob, value, output.weight)
        for output in net.outputs
        for value in outputs[output.value.blob].float().flatten().tolist()
    )


def _check_rows(net: Net) -> None:
    for output in net.outputs:
        shape = net.shapes.tops[output.value]
        if shape[-1:] != (ROW,):
            raise NetError(
                f"output '{output.value.blob}' of the test net is {dims(shape)}, but with eval_type"
                f' "detection" every output must have rows of {ROW}, as DetectionEvaluate makes them; give'
                " other outputs to a Silence layer"
            )


def lines_of(detected: Detected, *, with_classes: bool) -> Iterator[LogLine]:
    """Yields what Caffe logs of the score of an output.

    Args:
        detected: The score.
        with_classes: Whether each class has a line, as with show_per_class_result.
    """
    for one in detected.score.classes:
        if not one.detections:
            yield lines.detections_missing(one.label)
        elif with_classes:
            yield lines.class_score(one.label, one.ap)
    yield lines.detection_score(detected.place, detected.blob, detected.score.mean)
