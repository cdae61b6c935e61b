"""The six update rules of Caffe's solvers, on flat buffers.

Where Caffe differs from torch.optim:
  * SGD's history holds rate * gradient, so a change of the rate shows in the momentum only slowly;
  * weight decay is added to the gradient before momentum and before adaptive scaling, in every rule;
  * Adam adds `delta` to the root of the uncorrected second moment;
  * the norm for clip_gradients is that of the accumulated gradient, before decay and division.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caffeflow.engine.parameters import FlatParameters
from caffeflow.errors import NetError, WeightsError, suggestion
from caffeflow.proto.caffe_pb2 import SolverParameter

# A rule passes over its operands several times; pieces of 1 MiB stay in the cache between the passes.
_CPU_PIECE: Final = 1 << 18


@dataclass(frozen=True, kw_only=True)
class _Settings:
    momentum: float
    momentum2: float
    rms_decay: float
    delta: float


@dataclass(frozen=True)
class _Piece:
    """A part of the flat buffers small enough for the cache; multipliers are constant in it."""

    data: Tensor
    grad: Tensor
    history: tuple[Tensor, ...]
    lr_mult: float
    decay_mult: float


_Apply = Callable[[_Piece, float, int, _Settings], None]


def _sgd(piece: _Piece, rate: float, iteration: int, s: _Settings) -> None:  # noqa: ARG001
    (history,) = piece.history
    history.mul_(s.momentum).add_(piece.grad, alpha=rate)
    piece.data.sub_(history)


def _nesterov(piece: _Piece, rate: float, iteration: int, s: _Settings) -> None:  # noqa: ARG001
    (history,) = piece.history
    update = history.mul(-s.momentum)
    history.mul_(s.momentum).add_(piece.grad, alpha=rate)
    piece.data.sub_(update.add_(history, alpha=1 + s.momentum))


def _adagrad(piece: _Piece, rate: float, iteration: int, s: _Settings) -> None:  # noqa: ARG001
    (history,) = piece.history
    history.addcmul_(piece.grad, piece.grad)
    piece.data.addcdiv_(piece.grad, history.sqrt().add_(s.delta), value=-rate)


def _rmsprop(piece: _Piece, rate: float, iteration: int, s: _Settings) -> None:  # noqa: ARG001
    (history,) = piece.history
    history.mul_(s.rms_decay).addcmul_(piece.grad, piece.grad, value=1 - s.rms_decay)
    piece.data.addcdiv_(piece.grad, history.sqrt().add_(s.delta), value=-rate)


def _adadelta(piece: _Piece, rate: float, iteration: int, s: _Settings) -> None:  # noqa: ARG001
    squares, updates = piece.history
    squares.mul_(s.momentum).addcmul_(piece.grad, piece.grad, value=1 - s.momentum)
    update = updates.add(s.delta).div_(squares.add(s.delta)).sqrt_().mul_(piece.grad)
    updates.mul_(s.momentum).addcmul_(update, update, value=1 - s.momentum)
    piece.data.sub_(update, alpha=rate)


def _adam(piece: _Piece, rate: float, iteration: int, s: _Settings) -> None:
    first, second = piece.history
    first.mul_(s.momentum).add_(piece.grad, alpha=1 - s.momentum)
    second.mul_(s.momentum2).addcmul_(piece.grad, piece.grad, value=1 - s.momentum2)
    step = iteration + 1
    correction = math.sqrt(1 - s.momentum2**step) / (1 - s.momentum**step)
    piece.data.addcdiv_(first, second.sqrt().add_(s.delta), value=-rate * correction)


@dataclass(frozen=True)
class _Rule:
    apply: _Apply
    histories: int
    allows_momentum: bool = True


RULES: Final[dict[str, _Rule]] = {
    "SGD": _Rule(_sgd, 1),
    "Nesterov": _Rule(_nesterov, 1),
    "AdaGrad": _Rule(_adagrad, 1, allows_momentum=False),
    "RMSProp": _Rule(_rmsprop, 1, allows_momentum=False),
    "AdaDelta": _Rule(_adadelta, 2),
    "Adam": _Rule(_adam, 2),
}


@dataclass(frozen=True)
class Clipped:
    """A gradient that was longer than clip_gradients allows."""

    norm: float
    limit: float
    factor: float


def check_update(solver: SolverParameter) -> None:
    """Looks at the fields that the update rule reads.

    Raises:
        NetError: An unknown type or regularization_type, or a value that the rule does not allow.
    """
    rule = RULES.get(solver.type)
    if rule is None:
        spelled = {name.lower(): name for name in RULES}.get(solver.type.lower())
        hint = f"; did you mean '{spelled}'?" if spelled else suggestion(solver.type, RULES)
        raise NetError(f"unknown solver type '{solver.type}'{hint}; it must be one of {', '.join(RULES)}")
    if solver.momentum != 0 and not rule.allows_momentum:
        raise NetError(f"momentum is {solver.momentum:g}, but {solver.type} allows none; remove the field")
    if solver.type == "RMSProp" and not 0 <= solver.rms_decay < 1:
        raise NetError(f"rms_decay is {solver.rms_decay:g}; it must be at least 0 and less than 1")
    if solver.regularization_type not in ("L1", "L2"):
        raise NetError(f"regularization_type is '{solver.regularization_type}'; it must be L1 or L2")
    if solver.iter_size < 1:
        raise NetError(f"iter_size is {solver.iter_size}; it must be at least 1")


class Update:
    """Turns the accumulated gradient into the next weights, in Caffe's order.

    Args:
        parameters: The flat buffers.
        solver: Type, momentum, decay and the other fields of the rule.

    Raises:
        NetError: As `check_update`.
    """

    def __init__(self, parameters: FlatParameters, solver: SolverParameter) -> None:
        check_update(solver)
        self._parameters: Final = parameters
        self._rule: Final = RULES[solver.type]
        self._settings: Final = _Settings(
            momentum=solver.momentum,
            momentum2=solver.momentum2,
            rms_decay=solver.rms_decay,
            delta=solver.delta,
        )
        self._clip: Final = solver.clip_gradients
        self._iter_size: Final = solver.iter_size
        self._decay: Final = solver.weight_decay
        self._is_l1: Final = solver.regularization_type == "L1"
        self._history: Final = [torch.zeros_like(parameters.data) for _ in range(self._rule.histories)]
        self._pieces: Final = tuple(_cut(parameters, self._history))

    def clip(self) -> Clipped | None:
        """Scales the accumulated gradient down if it is longer than clip_gradients."""
        if self._clip < 0:
            return None
        norm = float(torch.linalg.vector_norm(self._parameters.grad))
        if norm <= self._clip:
            return None
        factor = float(np.float32(self._clip) / np.float32(norm))
        self._parameters.grad.mul_(factor)
        return Clipped(norm=norm, limit=self._clip, factor=factor)

    def apply(self, rate: float, iteration: int) -> None:
        """Divides by iter_size, adds weight decay, and moves the weights.

        Args:
            rate: This iteration's learning rate.
            iteration: How many updates were done before.
        """
        scale = float(np.float32(1) / np.float32(self._iter_size))
        for piece in self._pieces:
            if self._iter_size != 1:
                piece.grad.mul_(scale)
            decay = self._decay * piece.decay_mult
            if decay != 0:
                piece.grad.add_(piece.data.sign() if self._is_l1 else piece.data, alpha=decay)
            self._rule.apply(piece, rate * piece.lr_mult, iteration, self._settings)

    def history(self) -> list[NDArray[np.float32]]:
        """Returns the history as a solverstate holds it: every blob's, then every blob's second."""
        return [array for flat in self._history for array in self._parameters.arrays(flat)]

    def load_history(self, arrays: Sequence[NDArray[np.float32]]) -> None:
        """Restores what `history` returned.

        Raises:
            WeightsError: The number or sizes of the arrays do not fit.
        """
        per_flat = len(self._parameters.blobs)
        if len(arrays) != per_flat * len(self._history):
            raise WeightsError(
                f"the solverstate's history has {len(arrays)} blobs, this solver and net want"
                f" {per_flat * len(self._history)}; it belongs to another net or solver type"
            )
        for place, flat in enumerate(self._history):
            self._parameters.load(flat, arrays[place * per_flat : (place + 1) * per_flat])


def _cut(parameters: FlatParameters, history: Sequence[Tensor]) -> list[_Piece]:
    pieces = []
    for segment in parameters.segments:
        length = segment.stop - segment.start
        size = _CPU_PIECE if parameters.data.device.type == "cpu" else length
        for start in range(segment.start, segment.stop, max(size, 1)):
            part = slice(start, min(start + size, segment.stop))
            pieces.append(
                _Piece(
                    data=parameters.data[part],
                    grad=parameters.grad[part],
                    history=tuple(flat[part] for flat in history),
                    lr_mult=segment.lr_mult,
                    decay_mult=segment.decay_mult,
                )
            )
    return pieces
