"""A random net in our engine, whole, with Caffe's learned blobs: by the training and the stepwise executor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from torch import Tensor

from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.needs import needed_gradients
from caffeflow.engine.net import Net
from caffeflow.engine.stepwise import Direction, StepwiseExecutor
from caffeflow.engine.training import FusedExecutor
from tests.support.engine_nets import net_of_message
from tests.support.native_random_nets import CaffeAnswer
from tests.support.random_nets.drawing import RandomNet


@dataclass(kw_only=True)
class Whole:
    """What one executor made of a whole net.

    Attributes:
        loss: The net's loss.
        outputs: Names of what nothing reads, in order.
        tops: (layer, top's number) to values: of each layer right after it ran, or only what is left at the end.
        diffs: The same to gradients before the layer ran backward; only the stepwise executor shows them.
        learned: (layer, blob's number) to the gradient of a learned blob; None where it has none.
    """

    loss: float
    outputs: tuple[str, ...]
    tops: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    diffs: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)
    learned: dict[tuple[str, int], np.ndarray | None] = field(default_factory=dict)


def build(drawn: RandomNet, answer: CaffeAnswer | None = None) -> Net:
    """Returns the net as training opens it, with the learned blobs that Caffe began with where they are given."""
    net = net_of_message(drawn.net, phase=drawn.phase, name=drawn.name, seed=drawn.seed)
    if answer is not None:
        for layer in net.layers:
            arrays = answer.of("param", answer.layer(layer.name))
            for tensor, array in zip(layer.tensors, arrays, strict=True):
                tensor.data.copy_(torch.from_numpy(array).view(tensor.shape))
    return net


def feeds_of(drawn: RandomNet, net: Net) -> dict[str, tuple[Tensor, ...]]:
    """Returns the values of every layer that is fed from outside."""
    fed = {}
    for layer in net.fed:
        if layer.type == "Input":
            fed[layer.name] = tuple(torch.from_numpy(drawn.feeds[top.blob]) for top in layer.facts.node.tops)
        else:
            fed[layer.name] = open_feed(layer.facts.node.layer, phase=layer.phase, seed=0).next()
    return fed


def needs_of(drawn: RandomNet, net: Net) -> dict[int, tuple[bool, ...]]:
    """Returns which layers run backward, and which of their bottoms get a gradient."""
    return needed_gradients(net.layers, force=drawn.net.force_backward)


class _Keeper:
    """Keeps the blobs of each layer as the stepwise executor comes by."""

    def __init__(self, whole: Whole, executor: StepwiseExecutor) -> None:
        self._whole: Final = whole
        self._executor: Final = executor

    def before(self, layer: int, direction: Direction) -> None:
        if direction == "backward":
            self._keep(self._whole.diffs, self._executor.diff, layer)

    def after(self, layer: int, direction: Direction) -> None:
        if direction == "forward":
            self._keep(self._whole.tops, self._executor.data, layer)

    def _keep(self, kept: dict[tuple[str, int], np.ndarray], blobs: dict[str, Tensor], number: int) -> None:
        layer = self._executor.net.layers[number]
        for place, top in enumerate(layer.facts.node.tops):
            kept[layer.name, place] = blobs[top.blob].numpy().copy()


def run_stepwise(drawn: RandomNet, answer: CaffeAnswer | None, *, watched: bool = True) -> Whole:
    """Runs the whole net forward and backward, layer by layer.

    Args:
        drawn: The net.
        answer: Whose learned blobs it begins with, where they are given.
        watched: Keep what each layer makes; the executor then copies for each layer what it reads.
    """
    net = build(drawn, answer)
    executor = StepwiseExecutor(net, gradients=True, force_backward=drawn.net.force_backward)
    whole = Whole(loss=0.0, outputs=tuple(output.value.blob for output in net.outputs))
    executor.around = _Keeper(whole, executor) if watched else None
    whole.loss = float(executor.forward(feeds_of(drawn, net)).loss)
    executor.backward()
    whole.learned = _gradients(net)
    return whole


def run_fused(drawn: RandomNet, answer: CaffeAnswer | None) -> Whole:
    """Runs the whole net as one autograd graph, and backward in a TRAIN net."""
    net = build(drawn, answer)
    last = {
        top.blob: (layer.name, place)
        for layer in net.layers
        for place, top in enumerate(layer.facts.node.tops)
    }
    executor = FusedExecutor(net, keep=list(last))
    result = executor.forward(feeds_of(drawn, net))
    whole = Whole(
        loss=float(result.loss),
        outputs=tuple(output.value.blob for output in net.outputs),
        tops={last[blob]: values.numpy() for blob, values in result.outputs.items()},
    )
    if drawn.phase == "TRAIN":
        executor.backward()
        whole.learned = _gradients(net)
    return whole


def _gradients(net: Net) -> dict[tuple[str, int], np.ndarray | None]:
    """Returns the gradient of each learned blob; layers that share one have the sum of theirs, as in Caffe."""
    whole: dict[int, Tensor] = {}
    for learned in net.learned:
        parts = [tensor.grad.flatten() for tensor in learned.tensors if tensor.grad is not None]
        whole |= {id(tensor): torch.stack(parts).sum(0) for tensor in learned.tensors if parts}
    return {
        (layer.name, place): whole[id(tensor)].view(tensor.shape).numpy() if id(tensor) in whole else None
        for layer in net.layers
        for place, tensor in enumerate(layer.tensors)
    }
