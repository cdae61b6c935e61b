"""A net by itself with the data that its own layers name: what `caffe test` and `caffe time` run.

The one rule to know: an Input layer brings zeros, which is what its blobs hold in Caffe until somebody
fills them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, Self

import torch
from torch import Tensor

from caffeflow.engine import setup_lines
from caffeflow.engine.debug_info import with_splits
from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.feed.protocol import Feed
from caffeflow.engine.feed.sources import record_shape
from caffeflow.engine.lines import LogLine
from caffeflow.engine.net import Net, NetLayer
from caffeflow.engine.training import Feeds
from caffeflow.proto.net import NetRole
from caffeflow.proto.text import located


class StandaloneNet:
    """A net with open feeds; close it to stop them.

    Args:
        role: The net in its phase.
        device: Where it runs.
        seed: Of fillers, dropout, crops and mirrors.
        on_line: Gets the lines that Caffe logs while it builds a net.
        splits: Build it with Caffe's Split layers.

    Raises:
        NetError: A net that Caffe would refuse.
        DataError: A source that cannot be read.
    """

    def __init__(
        self,
        role: NetRole,
        *,
        device: torch.device,
        seed: int,
        on_line: Callable[[LogLine], None],
        splits: bool = False,
    ) -> None:
        torch.manual_seed(seed)
        built = with_splits(role) if splits else role
        self.net: Final = Net.of(built, record_shape=record_shape, seed=seed, device=device)
        for line in setup_lines.of_net_alone(role, self.net):
            on_line(line)
        with ExitStack() as opened, located(role.net_file):
            self._feeds: Final[dict[str, Feed]] = {}
            for layer in self.net.fed:
                if layer.type != "Input":
                    feed = open_feed(
                        layer.facts.node.layer, phase=layer.phase, seed=seed, pin=device.type == "cuda"
                    )
                    opened.callback(feed.close)
                    self._feeds[layer.name] = feed
            self._opened: Final = opened.pop_all()
        self._zeros: Final = {layer.name: _zeros(layer) for layer in self.net.fed if layer.type == "Input"}

    def __enter__(self) -> Self:
        """Returns the net."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stops the feeds."""
        self._opened.close()

    def next_feeds(self) -> Feeds:
        """Returns the next batch of every layer that brings data."""
        return {layer.name: self.next_tops(layer) for layer in self.net.fed}

    def next_tops(self, layer: NetLayer) -> tuple[Tensor, ...]:
        """Returns the next batch of one layer."""
        feed = self._feeds.get(layer.name)
        return self._zeros[layer.name] if feed is None else feed.next()


def _zeros(layer: NetLayer) -> tuple[Tensor, ...]:
    return tuple(torch.zeros(shape) for shape in layer.facts.tops)
