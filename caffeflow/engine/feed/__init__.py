"""Feeds: what the data layers of a net hand to it, batch after batch.

Source (`database`, `listed`) -> records -> `transformer` -> `batches` -> `background` -> the net. A batch
depends on the seed, the layer and its place in the stream alone, never on threads or ranks.
"""

from __future__ import annotations

from caffeflow.engine.feed.opening import open_feed, record_count, record_shape
from caffeflow.engine.feed.protocol import Feed, Position

__all__ = ["Feed", "Position", "open_feed", "record_count", "record_shape"]
