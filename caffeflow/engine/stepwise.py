"""The stepwise executor: layer by layer, unfused, with every blob's data and diff within reach.

Each layer runs on copies of its bottoms, cut off from the rest of the graph, so gradients are those of
the forward that ran, whatever is written into a buffer afterwards. The one rule to know: `data` and
`diff` are buffers by blob name that stay where they are while their shape stays; an in-place layer
overwrites its blob's buffer, as in Caffe.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor

from caffeflow.engine.memory import keep_freed_memory
from caffeflow.engine.net import Net, NetLayer
from caffeflow.engine.training import Feeds, Result, leading_to_loss
from caffeflow.errors import NetError
from caffeflow.proto.graph import Value

Direction = Literal["forward", "backward"]

Observer = Callable[[NetLayer, Direction, float], None]
"""Called after each layer with the seconds that its computation took; buffers are up to date then."""


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
        self.data: Final[dict[str, Tensor]] = {}
        self.diff: Final[dict[str, Tensor]] = {}
        self._records: Final = net.graph.phase == "TRAIN" if gradients is None else gradients
        self._needs: Final = needed_gradients(net.layers, force=force_backward)
        self._done: Final[dict[int, _Done]] = {}
        self._written: Final[set[Value]] = set()
        self._loss_weights: Final = {
            value: weight
            for layer in net.layers
            for value, weight in zip(layer.facts.node.tops, layer.loss_weights, strict=False)
            if weight
        }
        self._read_losses: Final = [value for value in self._loss_weights if any(net.graph.readers(value))]
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
        loss = torch.zeros((), device=self.net.device)
        last = len(self.net.layers) - 1 if end is None else end
        for layer in self.net.layers[start : last + 1]:
            if layer.is_fed:
                self._take(layer, (feeds or {}).get(layer.name))
            else:
                loss = loss + self._forward_layer(layer)
        outputs = {output.value.blob: self.data[output.value.blob].clone() for output in self.net.outputs}
        return Result(loss=loss, outputs=outputs)

    def backward(self, *, start: int | None = None, end: int = 0) -> None:
        """Runs layers `start` down to `end`, both included; learned blobs' gradients add up.

        Raises:
            NetError: A layer has not run forward, or the executor records no gradients.
        """
        self._written.clear()
        for value in self._read_losses:
            self._add_seed(value)
        first = len(self.net.layers) - 1 if start is None else start
        for layer in reversed(self.net.layers[end : first + 1]):
            if not layer.is_fed and layer.facts.node.index in self._needs:
                self._backward_layer(layer)

    def _take(self, layer: NetLayer, fed: Sequence[Tensor] | None) -> None:
        for top, value in zip(layer.facts.node.tops, fed or (), strict=fed is not None):
            self._store(top.blob, value.to(self.net.device))
        self._observe(layer, "forward", 0.0)

    def _forward_layer(self, layer: NetLayer) -> Tensor:
        node = layer.facts.node
        needs = self._needs.get(node.index, ()) if self._records else ()
        bottoms = tuple(self.data[value.blob].clone() for value in node.bottoms)
        for bottom, need in zip(bottoms, needs, strict=False):
            bottom.requires_grad_(need)
        with torch.set_grad_enabled(self._records):
            begin = self._now()
            made = layer.module.forward(*bottoms)
            seconds = self._now() - begin
        tops = made if isinstance(made, tuple) else (made,)
        if self._records:
            self._done[node.index] = _Done(bottoms, tops)
        loss = torch.zeros((), device=self.net.device)
        for top, weight in zip(tops, layer.loss_weights, strict=True):
            if weight:
                loss = loss + top.detach().sum() * weight
        for value, top in zip(node.tops, tops, strict=False):
            self._store(value.blob, top.detach())
        self._observe(layer, "forward", seconds)
        return loss

    def _backward_layer(self, layer: NetLayer) -> None:
        node = layer.facts.node
        done = self._done.get(node.index)
        if done is None:
            raise NetError("cannot run backward before it ran forward with gradients", layer=layer.name)
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
            return self.diff[tops[place].blob]
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


def needed_gradients(layers: Sequence[NetLayer], *, force: bool) -> dict[int, tuple[bool, ...]]:
    """Returns, for each layer that runs backward, which of its bottoms get a diff."""
    leading = leading_to_loss(layers)
    flowing: set[Value] = set()
    needs: dict[int, tuple[bool, ...]] = {}
    for layer in layers:
        node = layer.facts.node
        below = [value in flowing for value in node.bottoms]
        learns = any(tensor.requires_grad for tensor in layer.tensors)
        if not layer.is_fed and (any(below) or learns or force):
            flowing.update(node.tops)
            if force or node.index in leading:
                needs[node.index] = tuple(
                    (need or force) and not cut for need, cut in zip(below, layer.detached, strict=True)
                )
    return needs
