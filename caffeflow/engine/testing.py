"""A test pass: some batches forward, and the mean of every output element over them.

Caffe's rules: each batch counts the same, elements are numbered through in the byte order of their
blobs' names, and the data of a test net goes on where its last pass ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from caffeflow.engine.lines import Element
from caffeflow.engine.net import Net
from caffeflow.engine.solver import NextFeeds
from caffeflow.engine.training import FusedExecutor


@dataclass(frozen=True)
class TestScores:
    """The means of a test pass."""

    __test__ = False  # no test, whatever its name begins with

    loss: float
    elements: tuple[Element, ...]


class TestPass:
    """A net to test and where its batches come from.

    Args:
        executor: Runs the net.
        next_feeds: The next batch.
        iterations: How many batches make a pass.
    """

    __test__ = False

    def __init__(self, executor: FusedExecutor, next_feeds: NextFeeds, *, iterations: int) -> None:
        self.net: Final = executor.net
        self._executor: Final = executor
        self._next_feeds: Final = next_feeds
        self._iterations: Final = iterations

    def run(self, should_stop: Callable[[], bool] = lambda: False) -> TestScores | None:
        """Returns the means, or None if it was stopped on the way."""
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


def elements_of(net: Net, outputs: Mapping[str, Tensor]) -> tuple[Element, ...]:
    """Returns every element of a net's outputs in the order in which Caffe prints them."""
    return tuple(
        Element(output.value.blob, value, output.weight)
        for output in net.outputs
        for value in outputs[output.value.blob].float().flatten().tolist()
    )
