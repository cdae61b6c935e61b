"""One iteration of solving, in Caffe's order.

Clear the gradients; run iter_size batches forward and backward, adding up; smooth the loss; reduce the
gradients (distributed runs put their exchange there); take the rate; clip; divide, decay, update. The
iteration number counts finished updates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from torch import Tensor

from caffeflow.engine.net import Net
from caffeflow.engine.parameters import FlatParameters
from caffeflow.engine.policies import LearningRate, Rate
from caffeflow.engine.schedule import AS_THE_SOLVER_SAYS, Schedule
from caffeflow.engine.training import Feeds, Result
from caffeflow.engine.updates import Clipped, Update
from caffeflow.errors import CheckError
from caffeflow.proto.caffe_pb2 import SolverParameter

NextFeeds = Callable[[], Feeds]
Reduce = Callable[[Tensor], None]


class Executor(Protocol):
    """What runs a net forward and backward."""

    def forward(self, feeds: Feeds) -> Result:
        """Runs the net on one batch."""

    def backward(self) -> None:
        """Adds the gradients of that batch to those of the learned blobs."""


class NonFiniteLossError(CheckError):
    """The loss is no number any more; the weights are still those before this iteration.

    Args:
        loss: What it is.
        iteration: Updates done before.
        batches: The values fed in this iteration.
    """

    def __init__(self, loss: float, iteration: int, batches: tuple[Feeds, ...]) -> None:
        super().__init__(f"the loss is {loss:g} at iteration {iteration}")
        self.loss = loss
        self.iteration = iteration
        self.batches = batches


class SmoothedLoss:
    """The mean of the last losses, kept as Caffe keeps it: in float32, by replacing the oldest.

    Args:
        size: How many losses, the solver's average_loss.
    """

    def __init__(self, size: int) -> None:
        self._size: Final = size
        self._window: list[float] = []
        self._next = 0
        self.value = 0.0

    def add(self, loss: float) -> float:
        """Takes one more loss and returns the mean."""
        mean, new = np.float32(self.value), np.float32(loss)
        if len(self._window) < self._size:
            count = np.float32(len(self._window))
            mean = (mean * count + new) / (count + np.float32(1))
            self._window.append(loss)
        else:
            mean += (new - np.float32(self._window[self._next])) / np.float32(self._size)
            self._window[self._next] = loss
        self._next = (self._next + 1) % self._size
        self.value = float(mean)
        return self.value

    def clear(self) -> None:
        """Forgets all losses."""
        self._window.clear()
        self._next, self.value = 0, 0.0

    def state(self) -> dict[str, Any]:
        """Returns what `restore` needs, as plain values."""
        return {"window": list(self._window), "next": self._next, "value": self.value}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state; one of another size starts a new window."""
        if len(state["window"]) <= self._size:
            self._window, self._next = list(state["window"]), int(state["next"]) % self._size
            self.value = float(state["value"])


@dataclass(frozen=True, kw_only=True)
class Iteration:
    """What one iteration did.

    Attributes:
        number: Updates done before it.
        loss: Mean over its batches.
        smoothed: Mean over the last average_loss iterations.
        outputs: The net's outputs for the last batch.
        rate: The learning rate used.
        notes: What the policy has to say.
        clipped: Set if the gradient was too long.
    """

    number: int
    loss: float
    smoothed: float
    outputs: Mapping[str, Tensor]
    rate: float
    notes: tuple[str, ...]
    clipped: Clipped | None


class Solver:
    """Moves the weights of a net, one iteration at a time.

    Args:
        parameters: The solver's fields.
        net: The train net.
        executor: Runs it.
        channels_last: The memory order of 4-D weights; that of the executor.
        reduce: Called with the flat gradient between backward and clipping.
        on_start: Called in each iteration once the gradients are cleared.
        schedule: How the rate goes where the solver's fields cannot say it.

    Raises:
        NetError: A field that Caffe would refuse.
        UsageError: The schedule does not fit into max_iter.

    Attributes:
        on_non_finite: Hears of each loss that is no number, and the training goes on with it, as Caffe's
            does; None: it is raised.
    """

    def __init__(
        self,
        parameters: SolverParameter,
        net: Net,
        executor: Executor,
        *,
        channels_last: bool = False,
        reduce: Reduce | None = None,
        on_start: Callable[[], None] | None = None,
        schedule: Schedule = AS_THE_SOLVER_SAYS,
    ) -> None:
        self.net: Final = net
        self.executor: Final = executor
        self.on_non_finite: Callable[[NonFiniteLossError], None] | None = None
        self.iteration = 0
        self.flat: Final = FlatParameters(net.learned, device=net.device, channels_last=channels_last)
        self.update: Final = Update(self.flat, parameters)
        self.rate: Final = LearningRate(parameters, schedule)
        self.smoothed: Final = SmoothedLoss(parameters.average_loss)
        self._iter_size: Final = parameters.iter_size
        self._display: Final = parameters.display
        self._reduce: Final = reduce
        self._on_start: Final = on_start

    def step(self, next_feeds: NextFeeds) -> Iteration:
        """Does one iteration.

        Raises:
            NonFiniteLossError: Before anything is updated, if nobody is to hear of it.
        """
        self.flat.grad.zero_()
        if self._on_start is not None:
            self._on_start()
        loss, batches, result = self._accumulate(next_feeds)
        if not math.isfinite(loss):
            error = NonFiniteLossError(loss, self.iteration, batches)
            if self.on_non_finite is None:
                raise error
            self.on_non_finite(error)
        smoothed = self.smoothed.add(loss)
        if self._reduce is not None:
            self._reduce(self.flat.grad)
        rate, clipped = self.apply_update()
        done = Iteration(
            number=self.iteration,
            loss=loss,
            smoothed=smoothed,
            outputs=result.outputs,
            rate=rate.value,
            notes=rate.notes,
            clipped=clipped,
        )
        self.iteration += 1
        return done

    def apply_update(self) -> tuple[Rate, Clipped | None]:
        """Moves the weights by the gradients as they are; counting the iteration is the caller's."""
        rate = self.rate.at(self.iteration, self.smoothed.value, display=self.is_displayed)
        clipped = self.update.clip()
        self.update.apply(rate.value, self.iteration)
        return rate, clipped

    @property
    def is_displayed(self) -> bool:
        """Whether the log shows the coming iteration."""
        return self._display > 0 and self.iteration % self._display == 0

    def _accumulate(self, next_feeds: NextFeeds) -> tuple[float, tuple[Feeds, ...], Result]:
        total: Tensor | None = None
        batches = []
        for _ in range(self._iter_size):
            feeds = next_feeds()
            batches.append(feeds)
            result = self.executor.forward(feeds)
            self.executor.backward()
            total = result.loss if total is None else total + result.loss
        return float(total) / self._iter_size, tuple(batches), result  # type: ignore[arg-type]
