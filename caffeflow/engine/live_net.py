"""A net in its user's hands: every blob can be read and written between any two layers.

The one rule to know: layers that bring data run as layers do. A data layer hands out its next batch when
it runs, an Input layer leaves what was written, and DummyData fills its constant tops only once.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from torch import Tensor

from caffeflow.engine.blob import Blob, BlobList, Floats
from caffeflow.engine.feed.dummy import DummyFeed
from caffeflow.engine.feed.memory import MemoryFeed
from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.feed.protocol import Feed
from caffeflow.engine.feed.sources import record_shape
from caffeflow.engine.net import Net, NetLayer
from caffeflow.engine.net_blobs import LearnedStorage, NamedStorage
from caffeflow.engine.python_layers import Layer
from caffeflow.engine.stepwise import Around, StepwiseExecutor
from caffeflow.engine.training import Result
from caffeflow.errors import NetError, suggestion
from caffeflow.layers.python import PythonParams
from caffeflow.proto.binary import LayerArrays
from caffeflow.proto.matching import CopyPlan
from caffeflow.proto.net import NetRole
from caffeflow.proto.text import located


class LiveNet:
    """A net with its blobs, its feeds and what runs it, on the CPU.

    Args:
        role: The filtered net.
        seed: Of fillers, dropout, crops and mirrors.

    Raises:
        NetError: A net that Caffe would refuse, or that cannot run here.
        DataError: A source that cannot be read.
    """

    def __init__(self, role: NetRole, *, seed: int) -> None:
        self.net: Final = Net.of(role, record_shape=record_shape, seed=seed)
        self.executor: Final = StepwiseExecutor(
            self.net, gradients=True, force_backward=role.net.force_backward
        )
        names = dict.fromkeys(top.blob for layer in self.net.layers for top in layer.facts.node.tops)
        self.blobs: Final = {name: Blob(NamedStorage(self.executor, name)) for name in names}
        self._feeds: Final[dict[str, Feed]] = {}
        weakref.finalize(self, _close, self._feeds)
        with located(role.net_file):
            self._open(seed)

    @property
    def layer_names(self) -> list[str]:
        """The layers in the order in which they run."""
        return [layer.name for layer in self.net.layers]

    @property
    def inputs(self) -> list[str]:
        """The blobs that the user fills."""
        return [top.blob for layer in self._input_layers for top in layer.facts.node.tops]

    @property
    def outputs(self) -> list[str]:
        """The blobs that no layer reads."""
        return [output.value.blob for output in self.net.outputs]

    @property
    def loss_weights(self) -> dict[str, float]:
        """How much each blob counts in the loss."""
        weights = dict.fromkeys(self.blobs, 0.0)
        for layer in self.net.layers:
            for top, weight in zip(layer.facts.node.tops, layer.loss_weights, strict=False):
                weights[top.blob] = weight
        return weights

    def number(self, layer: str) -> int:
        """Returns the number of the first layer of a name.

        Raises:
            NetError: There is none.
        """
        names = self.layer_names
        if layer not in names:
            raise NetError(f"the net has no layer '{layer}'{suggestion(layer, names)}")
        return names.index(layer)

    def learned(self, layer: int) -> BlobList:
        """Returns the learned blobs of a layer."""
        count = len(self.net.layers[layer].tensors)
        return BlobList(Blob(LearnedStorage(self.net, layer, index)) for index in range(count))

    def find_python_layer(self, layer: int) -> Layer | None:
        """Returns the user's object that a Python layer calls; None for a layer of another type."""
        params = self.net.layers[layer].facts.params
        return params.running.user if isinstance(params, PythonParams) else None

    def watch(self, around: Around | None) -> None:
        """Tells someone of every layer of each pass from now on."""
        self.executor.around = around

    def forward(self, start: int, end: int) -> float:
        """Runs layers `start` to `end`, both included, and returns the loss among them."""
        self._check_range(start, end)
        return float(self._run(start, end).loss)

    def run(self) -> Result:
        """Runs all layers forward, and returns the loss and the outputs."""
        return self._run(0, len(self.net.layers) - 1)

    def backward(self, start: int, end: int) -> None:
        """Runs layers `start` down to `end`, both included."""
        self._check_range(end, start)
        self.executor.backward(start=start, end=end)

    def reshape(self) -> None:
        """Gives every blob the shape that follows from those of the inputs."""
        self.executor.reshape()

    def clear_gradients(self) -> None:
        """Zeroes the gradients of all learned blobs."""
        for layer in self.net.layers:
            for tensor in layer.tensors:
                if tensor.grad is not None:
                    tensor.grad.zero_()

    def give(self, data: Floats, labels: Floats) -> None:
        """Gives the first layer, a MemoryData layer, the rows that its batches are cut from.

        Raises:
            NetError: The net begins with another layer.
            DataError: The arrays do not fit it.
        """
        first = self.net.layers[0]
        feed = self._feeds.get(first.name)
        if not isinstance(feed, MemoryFeed):
            raise NetError(
                f"is of type {first.type}; arrays are given to a first layer of type MemoryData",
                layer=first.name,
            )
        feed.give(data, labels)

    def load(self, weights: Sequence[LayerArrays]) -> CopyPlan:
        """Copies weights by layer name.

        Raises:
            WeightsError: They do not fit.
        """
        return self.net.load(weights)

    def arrays(self) -> list[LayerArrays]:
        """Returns copies of the learned blobs of every layer."""
        return self.net.arrays()

    def gradients(self) -> list[LayerArrays]:
        """Returns copies of the gradients of every layer's learned blobs."""
        return [
            replace(layer, arrays=tuple(blob.diff.copy() for blob in self.learned(number)))
            for number, layer in enumerate(self.arrays())
        ]

    def share(self, other: LiveNet) -> None:
        """Uses the learned blobs of another net from now on.

        Raises:
            WeightsError: A layer of the same name has other blobs.
        """
        self.net.share(other.net)

    def _run(self, start: int, end: int) -> Result:
        if self._is_input_reshaped():
            self.reshape()
        feeds = {layer.name: self._next(layer) for layer in self.net.fed if self._is_due(layer, start, end)}
        return self.executor.forward(feeds, start=start, end=end)

    def _open(self, seed: int) -> None:
        for layer in self.net.fed:
            if layer.type == "Input":
                continue
            feed = open_feed(layer.facts.node.layer, phase=layer.phase, seed=seed)
            self._feeds[layer.name] = feed
            if isinstance(feed, DummyFeed):  # Caffe fills its tops when the net is made
                for top, value in zip(layer.facts.node.tops, feed.next(), strict=True):
                    self.executor.data[top.blob].copy_(value)

    def _is_due(self, layer: NetLayer, start: int, end: int) -> bool:
        return layer.name in self._feeds and start <= layer.facts.node.index <= end

    def _next(self, layer: NetLayer) -> tuple[Tensor, ...]:
        feed = self._feeds[layer.name]
        made = feed.next()
        if not isinstance(feed, DummyFeed):
            return made
        kept = [self.executor.data[top.blob] for top in layer.facts.node.tops]
        return tuple(kept[number] if number in feed.constant else value for number, value in enumerate(made))

    @property
    def _input_layers(self) -> list[NetLayer]:
        return [layer for layer in self.net.layers if layer.type == "Input"]

    def _is_input_reshaped(self) -> bool:
        return any(
            self.blobs[top.blob].shape != shape
            for layer in self._input_layers
            for top, shape in zip(layer.facts.node.tops, layer.facts.tops, strict=True)
        )

    def _check_range(self, first: int, last: int) -> None:
        count = len(self.net.layers)
        if first < 0 or last >= count:
            raise NetError(f"layers {first} to {last} are asked for; the net has 0 to {count - 1}")


def _close(feeds: Mapping[str, Feed]) -> None:
    for feed in feeds.values():
        feed.close()
