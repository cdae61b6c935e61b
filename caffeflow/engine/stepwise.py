"""The stepwise executor: layer by layer, unfused, with every blob's data and diff within reach.

Each layer runs on tensors of its own, cut off from the rest of the graph, so gradients are those of the
forward that ran, whatever is written into a buffer afterwards. They are copies of its bottoms' buffers, or,
where nobody can have written into those in between, what the layer before has just made. The one rule to
know: `data` and `diff` are buffers by blob name that stay where they are while their shape stays; an
in-place layer overwrites its blob's buffer, as in Caffe.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

import torch
from torch import Tensor

from caffeflow.engine.memory import keep_freed_memory
from caffeflow.engine.needs import is_overruled, needed_gradients
from caffeflow.engine.net import Net, NetLayer
from caffeflow.engine.training import Feeds, Result
from caffeflow.errors import NetError
from caffeflow.proto.graph import Value

Direction = Literal["forward", "backward"]

Observer = Callable[[NetLayer, Direction, float], None]
"""Called after each layer with the seconds that its computation took; buffers are up to date then."""


_LASTING_TOPS: Final = frozenset({"Python", "Parameter"})
"""Layers whose tops are memory that others write into: the user's object, the solver."""


class Around(Protocol):
    """Who is told of every layer of a pass, also of those that have nothing to do."""

    def before(self, layer: int, direction: Direction) -> None:
        """The layer of this number is next."""

    def after(self, layer: int, direction: Direction) -> None:
        """The layer of this number is done; buffers are up to date."""


@dataclass(frozen=True)
class _Done:
    """What a layer's forward leaves for its backward."""

    bottoms: tuple[Tensor, ...]
    tops: tuple[Tensor, ...]


class StepwiseExecutor:
    """Runs a net one layer after another.

    Args:
        net: The net.
        gradients: Record what backward needs; None: in a TRAIN net.
        force_backward: Compute every diff, also where nothing learns below; the net's field.
        observer: Called after each layer.

    Attributes:
        data: Blob name to its values.
        diff: Blob name to the gradient of the loss by it. Those of losses hold the loss weight.
        around: Is told of every layer of a pass.
    """

    def __init__(
        self,
        net: Net,
        *,
        gradients: bool | None = None,
        force_backward: bool = False,
        observer: Observer | None = None,
    ) -> None:
        keep_freed_memory()
        self.net: Final = net
        self.observer = observer
        self.around: Around | None = None
        self.data: Final[dict[str, Tensor]] = {}
        self.diff: Final[dict[str, Tensor]] = {}
        self._records: Final = net.graph.phase == "TRAIN" if gradients is None else gradients
        self._needs: Final = needed_gradients(net.layers, force=force_backward)
        self._done: Final[dict[int, _Done]] = {}
        self._written: Final[set[Value]] = set()
        self._next_below: int | None = None
        self._last_readers: Final = {value: node.index for node in net.graph.nodes for value in node.bottoms}
        self._loss_weights: Final = {
            value: weight
            for layer in net.layers
            for value, weight in zip(layer.facts.node.tops, layer.loss_weights, strict=False)
            if weight
        }
        self._read_losses: Final = [
            top
            for layer in net.layers
            for place, top in enumerate(layer.facts.node.tops)
            if top in self._loss_weights
            and any(net.graph.readers(top))
            and not is_overruled(net, layer, place)
        ]
        for value, shape in net.shapes.tops.items():
            self._resize(value.blob, torch.Size(shape))
        self._seed_losses()

    def forward(self, feeds: Feeds | None = None, *, start: int = 0, end: int | None = None) -> Result:
        """Runs layers `start` to `end`, both included, and returns the loss among them.

        Args:
            feeds: Tops of fed layers; a layer that is not given any keeps what its buffers hold.
            start: Number of the first layer to run.
            end: Number of the last one; None: the net's last.
        """
        self._next_below = None
        loss = torch.zeros((), device=self.net.device)
        made: dict[Value, Tensor] = {}
        last = len(self.net.layers) - 1 if end is None else end
        for number, layer in enumerate(self.net.layers[start : last + 1], start):
            if self.around is not None:
                self.around.before(number, "forward")
            if layer.is_fed:
                self._take(layer, (feeds or {}).get(layer.name))
            else:
                for term in self._forward_layer(layer, made):
                    loss = loss + term
            if self.around is not None:
                self.around.after(number, "forward")
        outputs = {output.value.blob: self.data[output.value.blob].clone() for output in self.net.outputs}
        return Result(loss=loss, outputs=outputs)

    def backward(self, *, start: int | None = None, end: int = 0) -> None:
        """Runs layers `start` down to `end`, both included; learned blobs' gradients add up.

        A pass that begins right below where the last one ended goes on with it: what several layers
        read gets the sum of all their diffs. A layer that has not run forward takes what the buffers hold.

        Raises:
            NetError: The executor records no gradients.
        """
        first = len(self.net.layers) - 1 if start is None else start
        if first != self._next_below:
            self._written.clear()
            for value in self._read_losses:
                self._add_seed(value)
        self._next_below = end - 1
        for number in range(first, end - 1, -1):
            layer = self.net.layers[number]
            if self.around is not None:
                self.around.before(number, "backward")
            if not layer.is_fed and layer.facts.node.index in self._needs:
                self._backward_layer(layer)
            if self.around is not None:
                self.around.after(number, "backward")

    def resize(self, blob: str, shape: Sequence[int]) -> None:
        """Gives a blob another shape; its values stay where it holds as many, else they are zeros."""
        old = self.data[blob]
        if old.numel() == math.prod(shape):
            self.data[blob], self.diff[blob] = old.view(tuple(shape)), self.diff[blob].view(tuple(shape))
        else:
            self._resize(blob, torch.Size(shape))
            self._seed_losses()

    def reshape(self) -> None:
        """Works out all shapes again from those that the fed layers' tops have now.

        Raises:
            NetError: A layer refuses its new bottoms, or would learn other blobs with them.
        """
        self.net.reshape(
            {top: tuple(self.data[top.blob].shape) for layer in self.net.fed for top in layer.facts.node.tops}
        )
        for value, shape in self.net.shapes.tops.items():
            self._resize(value.blob, torch.Size(shape))
        self._seed_losses()
        self._done.clear()

    def _take(self, layer: NetLayer, fed: Sequence[Tensor] | None) -> None:
        for top, value in zip(layer.facts.node.tops, fed or (), strict=fed is not None):
            self._store(top.blob, value.to(self.net.device))
        self._observe(layer, "forward", 0.0)

    def _compute(self, layer: NetLayer, fresh: Mapping[Value, Tensor]) -> tuple[_Done, float]:
        """Returns what a layer makes of its bottoms, and the seconds that it took.

        Args:
            layer: The layer.
            fresh: Values that need not be copied from their buffers.
        """
        node = layer.facts.node
        needs = self._needs.get(node.index, ()) if self._records else ()
        bottoms = tuple(
            self.data[value.blob].clone() if value not in fresh else fresh[value].detach()
            for value in node.bottoms
        )
        for bottom, need in zip(bottoms, needs, strict=False):
            bottom.requires_grad_(need)
        with torch.set_grad_enabled(self._records):
            begin = self._now()
            made = layer.module.forward(*bottoms)
            seconds = self._now() - begin
        return _Done(bottoms, made if isinstance(made, tuple) else (made,)), seconds

    def _forward_layer(self, layer: NetLayer, fresh: dict[Value, Tensor]) -> list[Tensor]:
        """Runs a layer, notes those of its tops that may be read without a copy, and returns its losses."""
        node = layer.facts.node
        done, seconds = self._compute(layer, fresh)
        tops = done.tops
        if self._records:
            self._done[node.index] = done
        for value, top in zip(node.tops, tops, strict=False):
            self._store(value.blob, top.detach())
            if value in self._last_readers and self._is_out_of_reach(layer, top):
                fresh[value] = top
        for value in node.bottoms:
            if self._last_readers[value] == node.index:
                fresh.pop(value, None)  # without gradients nobody else holds it
        self._observe(layer, "forward", seconds)
        return [
            top.detach().sum() * weight
            for top, weight in zip(tops, layer.loss_weights, strict=True)
            if weight
        ]

    def _is_out_of_reach(self, layer: NetLayer, top: Tensor) -> bool:
        """Whether a top is as its buffer is, and stays so until the next layers have read it.

        Whoever is called around each layer may write into buffers.
        """
        is_plain = top.dtype == torch.float32 and top.is_contiguous()
        return self.around is None and layer.type not in _LASTING_TOPS and is_plain

    def _backward_layer(self, layer: NetLayer) -> None:
        node = layer.facts.node
        if not self._records:
            raise NetError("cannot run backward: it ran forward without gradients", layer=layer.name)
        done = self._done.get(node.index) or self._compute(layer, {})[0]
        outs = [(place, top) for place, top in enumerate(done.tops) if top.requires_grad]
        if not outs:
            return  # no gradient passes through, as through Accuracy
        bottoms = [
            (value, bottom)
            for value, bottom in zip(node.bottoms, done.bottoms, strict=True)
            if bottom.requires_grad
        ]
        learned = [tensor for tensor in layer.tensors if tensor.requires_grad]
        begin = self._now()
        grads = torch.autograd.grad(
            [top for _, top in outs],
            [*(bottom for _, bottom in bottoms), *learned],
            [self._top_diff(layer, place) for place, _ in outs],
            retain_graph=True,  # a user may set other diffs and run backward again
            allow_unused=True,
        )
        seconds = self._now() - begin
        for (value, bottom), grad in zip(bottoms, grads, strict=False):
            self._add_diff(value, torch.zeros_like(bottom) if grad is None else grad)
        for tensor, grad in zip(learned, grads[len(bottoms) :], strict=True):
            if tensor.grad is None:
                tensor.grad = torch.zeros_like(tensor)
            if grad is not None:
                tensor.grad.add_(grad)
        self._observe(layer, "backward", seconds)

    def _top_diff(self, layer: NetLayer, place: int) -> Tensor:
        tops = layer.facts.node.tops
        if place < len(tops):
            diff = self.diff[tops[place].blob]
            # Autograd may hand this very tensor on as a gradient, which the bottom's would then overwrite.
            return diff.clone() if layer.facts.node.is_in_place else diff
        return torch.full(layer.facts.tops[place], layer.loss_weights[place], device=self.net.device)

    def _add_diff(self, value: Value, grad: Tensor) -> None:
        if value in self._written:
            self.diff[value.blob].add_(grad)
        else:
            self._written.add(value)
            self.diff[value.blob].copy_(grad)

    def _store(self, blob: str, value: Tensor) -> None:
        if self.data[blob].shape != value.shape:
            self._resize(blob, value.shape)
            self._seed_losses()
        self.data[blob].copy_(value)

    def _resize(self, blob: str, shape: torch.Size) -> None:
        if blob not in self.data or self.data[blob].shape != shape:
            self.data[blob] = torch.zeros(shape, device=self.net.device)
            self.diff[blob] = torch.zeros(shape, device=self.net.device)

    def _seed_losses(self) -> None:
        """Fills the diffs of losses with their weights; Caffe does so once, when it sets up."""
        for value in self._loss_weights:
            self.diff[value.blob].fill_(self._loss_weights[value])

    def _add_seed(self, value: Value) -> None:
        """Starts the diff of a loss that other layers read too, so that theirs are added to it."""
        self.diff[value.blob].fill_(self._loss_weights[value])
        self._written.add(value)

    def _now(self) -> float:
        if self.observer is None:
            return 0.0
        if self.net.device.type == "cuda":
            torch.cuda.synchronize(self.net.device)
        return time.perf_counter()

    def _observe(self, layer: NetLayer, direction: Direction, seconds: float) -> None:
        if self.observer is not None:
            self.observer(layer, direction, seconds)
