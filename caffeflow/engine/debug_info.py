"""What `debug_info: true` logs: the mean absolute value of every blob and diff, layer by layer.

The one rule to know: Caffe shows the diff of each reader of a blob by itself, as its Split layers have them;
so a net that is to be shown is built with these layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

import torch
from torch import Tensor

from caffeflow.engine.lines import LogLine, number
from caffeflow.engine.needs import needed_gradients
from caffeflow.engine.net import Net, NetLayer
from caffeflow.engine.stepwise import Direction, StepwiseExecutor
from caffeflow.engine.training import Feeds, Result
from caffeflow.layers.spec import SPECS
from caffeflow.proto.net import NetRole
from caffeflow.proto.splits import insert_splits
from caffeflow.proto.text import located

_KEPT_OUT: Final = {
    **dict.fromkeys(("LSTM", "RNN"), 1),
    **dict.fromkeys((name for name, spec in SPECS.items() if spec.default_loss_weight), 1),
    **dict.fromkeys(("ContrastiveLoss", "LSTMUnit"), 2),
    **dict.fromkeys(("EuclideanLoss", "SmoothL1Loss"), None),
}
"""Layer type -> the bottom that force_backward alone gives no diff (AllowForceBackward in Caffe)."""


def with_splits(role: NetRole) -> NetRole:
    """Returns a net with Caffe's Split layers in it.

    Raises:
        NetError: The net is no graph.
    """
    with located(role.net_file):
        return replace(role, net=insert_splits(role.net))


class DebugLines:
    """Logs what each layer made while an executor runs; nothing before it is told to.

    Args:
        executor: Runs the net, which has its Split layers.
        on_line: Gets the lines.
        force_backward: Every layer runs backward; the net's field.
    """

    def __init__(
        self, executor: StepwiseExecutor, on_line: Callable[[LogLine], None], *, force_backward: bool
    ) -> None:
        self._executor: Final = executor
        self._on_line: Final = on_line
        self._needs: Final = needed_gradients(executor.net.layers, force=force_backward)
        self._unforced: Final = needed_gradients(executor.net.layers, force=False)
        self._force: Final = force_backward

    def show(self, shows: bool) -> None:
        """Logs from now on, or does not; Caffe does in iterations that it displays."""
        self._executor.observer = self._observe if shows else None

    def after_backward(self) -> None:
        """Logs the norms of all learned blobs and their gradients."""
        if self._executor.observer is None:
            return
        tensors = [blob.tensors[0] for blob in self._executor.net.learned]
        data = [tensor.detach() for tensor in tensors]
        diff = [torch.zeros(1) if tensor.grad is None else tensor.grad for tensor in tensors]
        norms = [f"L{order} norm = ({_norm(data, order)}, {_norm(diff, order)})" for order in (1, 2)]
        self._say(f"    [Backward] All net params (data, diff): {'; '.join(norms)}")

    def _observe(self, layer: NetLayer, direction: Direction, _seconds: float) -> None:
        shown = self._forward_lines(layer) if direction == "forward" else self._backward_lines(layer)
        for blob, value in shown:
            self._say(f"    [{direction.title()}] Layer {layer.name}, {blob}: {value}")

    def _forward_lines(self, layer: NetLayer) -> Iterator[tuple[str, str]]:
        node = layer.facts.node
        for top in node.tops:
            yield f"top blob {top.blob} data", _mean(self._executor.data[top.blob])
        names = [spec.name for spec in node.layer.param]
        for index, tensor in enumerate(layer.tensors):
            name = "".join(names[index : index + 1]) or index
            yield f"param blob {name} data", _mean(tensor)

    def _backward_lines(self, layer: NetLayer) -> Iterator[tuple[str, str]]:
        node = layer.facts.node
        unforced = self._unforced.get(node.index, (False,) * len(node.bottoms))
        for place, bottom in enumerate(node.bottoms):
            if unforced[place] or (self._needs[node.index][place] and place != _KEPT_OUT.get(layer.type)):
                yield f"bottom blob {bottom.blob} diff", _mean(self._executor.diff[bottom.blob])
        rates = [spec.lr_mult for spec in node.layer.param]
        for index, tensor in enumerate(layer.tensors):
            # Caffe: what does not learn has no line, but statistics have, for which nobody set a rate.
            if self._force or rates[index : index + 1] != [0.0]:
                mean = "0" if tensor.grad is None else _mean(tensor.grad)
                yield f"param blob {index} diff", mean

    def _say(self, text: str) -> None:
        self._on_line(LogLine("net.cpp:593", text))


class DebugExecutor:
    """Runs a net stepwise and logs what each layer made.

    Args:
        net: The net.
        on_line: Gets the lines.
        force_backward: Every layer runs backward; the net's field.
    """

    def __init__(self, net: Net, on_line: Callable[[LogLine], None], *, force_backward: bool = False) -> None:
        self.net: Final = net
        self._executor: Final = StepwiseExecutor(net, force_backward=force_backward)
        self._lines: Final = DebugLines(self._executor, on_line, force_backward=force_backward)
        self._lines.show(True)

    def show(self, shows: bool) -> None:
        """Logs from now on, or does not."""
        self._lines.show(shows)

    def forward(self, feeds: Feeds) -> Result:
        """Runs the net on one batch."""
        return self._executor.forward(feeds)

    def backward(self) -> None:
        """Runs backward."""
        self._executor.backward()
        self._lines.after_backward()


def _mean(tensor: Tensor) -> str:
    return number(float(tensor.detach().abs().mean())) if tensor.numel() else "0"


def _norm(tensors: list[Tensor], order: int) -> str:
    norms = [torch.linalg.vector_norm(tensor.flatten(), order) for tensor in tensors]
    return number(float(torch.linalg.vector_norm(torch.stack([norm.cpu() for norm in norms]), order)))
