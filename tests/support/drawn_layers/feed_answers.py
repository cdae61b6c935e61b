"""Drawn data layers asked of the real Caffe, and the comparison with ours, to the last bit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import numpy as np

from caffeflow.engine.feed.opening import open_feed
from tests.support.drawn_layers.compare import Blobs
from tests.support.drawn_layers.feeds import DrawnFeed
from tests.support.native import NativeCaffe

DRIVER: Final = Path(__file__).resolve().parents[1] / "native_feed_driver.py"


def ask_feeds(caffe: NativeCaffe, feeds: Sequence[DrawnFeed], folder: Path) -> list[Blobs]:
    """Returns the tops that Caffe brings, as `<top>_<batch>`, for each layer."""
    orders = []
    for number, feed in enumerate(feeds):
        (folder / f"feed_{number}.prototxt").write_text(feed.text())
        order = {"name": f"feed_{number}", "prototxt": f"feed_{number}.prototxt", "phase": feed.phase}
        orders.append(order | {"batches": feed.batches, "tops": list(feed.layer.top)})
    (folder / "cases.json").write_text(json.dumps(orders))
    caffe.run("python", DRIVER, folder)
    return [dict(np.load(folder / f"feed_{number}.out.npz")) for number in range(len(feeds))]


def assert_feed_brings(feed: DrawnFeed, expected: Blobs) -> None:
    """Asserts that our layer brings the same batches."""
    with closing(open_feed(feed.layer, phase=feed.phase, seed=0, workers=2)) as ours:
        for batch in range(feed.batches):
            for top, values in zip(feed.layer.top, ours.next(), strict=True):
                np.testing.assert_array_equal(values.numpy(), expected[f"{top}_{batch}"], err_msg=feed.text())
