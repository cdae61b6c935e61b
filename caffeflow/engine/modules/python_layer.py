"""Python layers on PyTorch: a user's object as one step of the autograd graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import torch
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.engine.python_layers import RunningLayer, zeroed
from caffeflow.errors import UsageError
from caffeflow.layers.params import dims
from caffeflow.layers.python import PythonParams


@module("Python")
class PythonLayer(LayerModule):
    """Calls the object; its learned blobs are the module's."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        params: PythonParams = setup.params
        self.running: Final = cast("RunningLayer", params.running)
        self.has_tops: Final = bool(setup.tops)
        for index, (blob, tensor) in enumerate(zip(self.running.user.blobs, self.learned, strict=True)):
            tensor.data.copy_(torch.from_numpy(blob.data))
            blob.move(_ModuleStorage(self, index))

    def forward(self, *bottoms: Tensor) -> tuple[Tensor, ...]:
        """Returns the tops."""
        if not self.has_tops:
            self.running.forward([bottom.detach().cpu().clone() for bottom in bottoms])
            return ()
        made: tuple[Tensor, ...] = _Call.apply(self, len(bottoms), *bottoms, *self.learned)  # type: ignore[no-untyped-call]
        return made


class _Call(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, layer: PythonLayer, count: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Returns the tops, and keeps what backward needs."""
        bottoms = [tensor.detach().cpu().clone() for tensor in tensors[:count]]
        tops = layer.running.forward(bottoms)
        ctx.layer, ctx.bottoms, ctx.tops = layer, bottoms, [top.detach() for top in tops]
        device = tensors[0].device if tensors else torch.device("cpu")
        return tuple(top.to(device) for top in tops)

    @staticmethod
    def backward(ctx: Any, *diffs: Tensor) -> tuple[Tensor | None, ...]:
        """Returns the diffs of bottoms and learned blobs."""
        layer: PythonLayer = ctx.layer
        count = len(ctx.bottoms)
        propagate_down = ctx.needs_input_grad[2 : 2 + count]
        kept = [zeroed(tensor) for tensor in layer.learned]
        made = layer.running.backward(
            ctx.bottoms, ctx.tops, [diff.detach().cpu() for diff in diffs], propagate_down
        )
        learned = [zeroed(tensor) for tensor in layer.learned]
        for tensor, before in zip(layer.learned, kept, strict=True):
            if tensor.grad is not None:
                tensor.grad.copy_(before)
        down = [
            diff.to(diffs[0].device) if need else None
            for diff, need in zip(made, propagate_down, strict=True)
        ]
        return (None, None, *down, *learned)


class _ModuleStorage:
    """A learned blob as the layer's own code sees it."""

    def __init__(self, layer: PythonLayer, index: int) -> None:
        self._layer: Final = layer
        self._index: Final = index

    def data(self) -> Tensor:
        """Returns the values."""
        return self._layer.learned[self._index].detach()

    def diff(self) -> Tensor:
        """Returns the gradient."""
        tensor = self._layer.learned[self._index]
        if tensor.grad is None:
            tensor.grad = torch.zeros_like(tensor)
        return tensor.grad

    def resize(self, shape: Sequence[int]) -> None:
        """Refuses another shape: the net was made with this one."""
        found = tuple(self.data().shape)
        if found != tuple(shape):
            raise UsageError(
                f"a learned blob is {dims(found)} and cannot become {dims(tuple(shape))}; its shape is given"
                " in setup, once"
            )
