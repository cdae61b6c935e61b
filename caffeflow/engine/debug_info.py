"""What `debug_info: true` logs: the mean absolute value of every blob and diff, layer by layer."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from caffeflow.engine.lines import LogLine, number
from caffeflow.engine.net import Net, NetLayer
from caffeflow.engine.stepwise import Direction, StepwiseExecutor
from caffeflow.engine.training import Feeds, Result


class DebugExecutor:
    """Runs a net stepwise and logs what each layer made.

    Args:
        net: The net.
        on_line: Gets the lines.
    """

    def __init__(self, net: Net, on_line: Callable[[LogLine], None]) -> None:
        self._net = net
        self._on_line = on_line
        self._executor = StepwiseExecutor(net, observer=self._observe)

    def forward(self, feeds: Feeds) -> Result:
        """Runs the net on one batch."""
        return self._executor.forward(feeds)

    def backward(self) -> None:
        """Runs backward, and logs the norms of all learned blobs and their gradients."""
        self._executor.backward()
        tensors = [blob.tensors[0] for blob in self._net.learned]
        data = [tensor.detach() for tensor in tensors]
        diff = [torch.zeros(1) if tensor.grad is None else tensor.grad for tensor in tensors]
        norms = [f"L{order} norm = ({_norm(data, order)}, {_norm(diff, order)})" for order in (1, 2)]
        self._say(f"    [Backward] All net params (data, diff): {'; '.join(norms)}")

    def _observe(self, layer: NetLayer, direction: Direction, _seconds: float) -> None:
        node = layer.facts.node
        names = [spec.name for spec in node.layer.param]
        shown = [(names[index : index + 1] or [""])[0] or str(index) for index in range(len(layer.tensors))]
        head = f"Layer {layer.name}"
        if direction == "forward":
            for top in node.tops:
                mean = _mean(self._executor.data[top.blob])
                self._say(f"    [Forward] {head}, top blob {top.blob} data: {mean}")
            for name, tensor in zip(shown, layer.tensors, strict=True):
                self._say(f"    [Forward] {head}, param blob {name} data: {_mean(tensor)}")
            return
        for bottom in node.bottoms:
            mean = _mean(self._executor.diff[bottom.blob])
            self._say(f"    [Backward] {head}, bottom blob {bottom.blob} diff: {mean}")
        for name, tensor in zip(shown, layer.tensors, strict=True):
            if tensor.grad is not None:
                self._say(f"    [Backward] {head}, param blob {name} diff: {_mean(tensor.grad)}")

    def _say(self, text: str) -> None:
        self._on_line(LogLine("net.cpp:593", text))


def _mean(tensor: Tensor) -> str:
    return number(float(tensor.detach().abs().mean())) if tensor.numel() else "0"


def _norm(tensors: list[Tensor], order: int) -> str:
    norms = [torch.linalg.vector_norm(tensor.flatten(), order) for tensor in tensors]
    return number(float(torch.linalg.vector_norm(torch.stack([norm.cpu() for norm in norms]), order)))
