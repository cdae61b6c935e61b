"""The fused executor: a whole net as one autograd graph, for solving and for fast forwards.

The one rule to know: the plan is made once. A forward is a loop over (function, which slots it reads,
which it writes, which are read for the last time), so an iteration spends its time inside torch.
Looking at single layers is `stepwise`'s business; a test holds that both compute the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Final, Literal

import torch
from torch import Tensor

from caffeflow.engine.fusion import Function, Part, fuse
from caffeflow.engine.memory import keep_freed_memory
from caffeflow.engine.needs import is_overruled
from caffeflow.engine.net import Net, NetLayer
from caffeflow.errors import NetError
from caffeflow.proto.graph import Value

Precision = Literal["fp32", "bf16"]
Feeds = Mapping[str, tuple[Tensor, ...]]
"""Layer name to the tops of that layer, for every layer that is fed from outside."""


@dataclass(frozen=True)
class Result:
    """What a forward made.

    Attributes:
        loss: The weighted sum of all losses; a constant zero in a net without any.
        outputs: Each output blob, in Caffe's order, then the blobs asked for with `keep`.
    """

    loss: Tensor
    outputs: dict[str, Tensor]


@dataclass(frozen=True)
class _Step:
    run: Function
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    last_reads: tuple[int, ...]


@dataclass(frozen=True)
class _Weighted:
    """A slot whose value counts in the loss; where it is overruled, it does so without a gradient."""

    slot: int
    weight: float
    overruled: bool


class FusedExecutor:
    """Runs a net forward and backward.

    Gradients are recorded in a TRAIN net only.

    Args:
        net: The net.
        precision: bf16 computes what autocast allows in bfloat16; losses stay in float32.
        channels_last: The memory order of 4-D blobs; None takes it for nets with 2-D convolutions.
        keep: Names of blobs to return besides the outputs.

    Raises:
        NetError: The net has no blob of a name in `keep`.
    """

    def __init__(
        self,
        net: Net,
        *,
        precision: Precision = "fp32",
        channels_last: bool | None = None,
        keep: Collection[str] = (),
    ) -> None:
        keep_freed_memory()
        self.net: Final = net
        self.channels_last: Final = prefers_channels_last(net) if channels_last is None else channels_last
        self._is_training: Final = net.graph.phase == "TRAIN"
        self._bf16: Final = precision == "bf16"
        outputs = [output.value for output in net.outputs]
        self._fed: Final = net.fed
        self._shown: Final = list(dict.fromkeys([*outputs, *(net.graph.last(blob) for blob in keep)]))
        self._slots: Final = _Slots()
        self._weights: Final[list[_Weighted]] = []
        self._plan: Final = self._make_plan()
        self._last_loss: Tensor | None = None

    def forward(self, feeds: Feeds) -> Result:
        """Runs the net on one batch.

        Raises:
            NetError: A fed layer was not given its tops.
        """
        slots: list[Any] = [None] * len(self._slots)
        self._feed(feeds, slots)
        with self._modes():
            for step in self._plan:
                made = step.run(*[slots[place] for place in step.reads])
                if len(step.writes) == 1 and not isinstance(made, tuple):
                    slots[step.writes[0]] = made
                else:
                    for place, value in zip(step.writes, made, strict=True):
                        slots[place] = value
                for place in step.last_reads:
                    slots[place] = None
            loss = self._loss(slots)
        self._last_loss = loss
        outputs = {value.blob: slots[self._slots[value]].detach() for value in self._shown}
        return Result(loss=loss.detach(), outputs=outputs)

    def backward(self) -> None:
        """Adds the gradients of the last forward's loss to those of the learned blobs."""
        loss, self._last_loss = self._last_loss, None
        if loss is not None and loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]

    def _feed(self, feeds: Feeds, slots: list[Any]) -> None:
        for layer in self._fed:
            if layer.name not in feeds:
                raise NetError("was given no values to run on", layer=layer.name)
            for top, value in zip(layer.facts.node.tops, feeds[layer.name], strict=True):
                moved = value.to(self.net.device, non_blocking=True)
                if self.channels_last and moved.dim() == 4:
                    moved = moved.contiguous(memory_format=torch.channels_last)
                slots[self._slots[top]] = moved

    @contextmanager
    def _modes(self) -> Iterator[None]:
        with ExitStack() as stack:
            if not self._is_training:
                stack.enter_context(torch.inference_mode())
            if self._bf16:
                stack.enter_context(torch.autocast(self.net.device.type, torch.bfloat16))
            yield

    def _loss(self, slots: list[Any]) -> Tensor:
        loss: Tensor | None = None
        for weighted in self._weights:
            value = slots[weighted.slot]
            term = value if value.dim() == 0 else value.sum()
            term = term if weighted.weight == 1 else term * weighted.weight
            term = term.detach() if weighted.overruled else term
            loss = term if loss is None else loss + term
        return torch.zeros((), device=self.net.device) if loss is None else loss

    def _make_plan(self) -> list[_Step]:
        layers = [layer for layer in self.net.layers if not layer.is_fed]
        for layer in self._fed:
            for top in layer.facts.node.tops:
                self._slots.add(top)
        wanted = leading_to_loss(self.net.layers)
        parts = fuse(layers, kept=self._shown)
        last = {value: number for number, part in enumerate(parts) for value in part.bottoms}
        always = set(self._shown)
        steps = []
        for number, part in enumerate(parts):
            reads = tuple(self._slots[value] for value in part.bottoms)
            writes = self._make_tops(part, always)
            run = self._guard(part, has_gradient=part.layers[-1].facts.node.index in wanted)
            free = {value for value in part.bottoms if last[value] == number and value not in always}
            steps.append(_Step(run, reads, writes, tuple(self._slots[value] for value in free)))
        return steps

    def _make_tops(self, part: Part, always: set[Value]) -> tuple[int, ...]:
        layer = part.layers[-1]
        tops = part.tops or tuple(
            Value(f"(automatic) {layer.name}", number) for number in range(len(layer.facts.tops))
        )
        places = tuple(self._slots.add(top) for top in tops)
        for number, (top, slot, weight) in enumerate(zip(tops, places, layer.loss_weights, strict=True)):
            if weight:
                overruled = is_overruled(self.net, layer, number)
                self._weights.append(_Weighted(slot, weight, overruled=overruled))
                always.add(top)
        return places

    def _guard(self, part: Part, *, has_gradient: bool) -> Function:
        """Wraps a part in what its place in the net asks for; most parts need nothing."""
        function, first = part.function, part.layers[0]
        if self._bf16 and any(first.loss_weights):
            function = _in_fp32(function, self.net.device.type)
        if self._is_training and not has_gradient:
            return _without_gradient(function)
        return _cutting(function, first.detached) if any(first.detached) else function


class _Slots(dict[Value, int]):
    """Numbers values; lists with these numbers as places are quicker than dictionaries of values."""

    def add(self, value: Value) -> int:
        return self.setdefault(value, len(self))


def prefers_channels_last(net: Net) -> bool:
    """Whether a net has the 2-D convolutions that channels_last makes faster."""
    return any(
        layer.type.startswith(("Convolution", "Depthwise")) and len(layer.facts.bottoms[0]) == 4
        for layer in net.layers
    )


def leading_to_loss(layers: Sequence[NetLayer]) -> set[int]:
    """Returns the numbers of the layers that some loss depends on."""
    needed: set[Value] = set()
    leading = set()
    for layer in reversed(layers):
        node = layer.facts.node
        if any(layer.loss_weights) or needed.intersection(node.tops):
            leading.add(node.index)
            needed.update(bottom for bottom, cut in zip(node.bottoms, layer.detached, strict=True) if not cut)
    return leading


def _in_fp32(function: Function, device_type: str) -> Function:
    def run(*bottoms: Tensor) -> Any:
        with torch.autocast(device_type, enabled=False):
            return function(*(bottom.float() for bottom in bottoms))

    return run


def _without_gradient(function: Function) -> Function:
    def run(*bottoms: Tensor) -> Any:
        with torch.no_grad():
            return function(*bottoms)

    return run


def _cutting(function: Function, detached: Sequence[bool]) -> Function:
    def run(*bottoms: Tensor) -> Any:
        cut = zip(bottoms, detached, strict=True)
        return function(*(bottom.detach() if is_cut else bottom for bottom, is_cut in cut))

    return run
