"""What changing pictures at random costs: records a second of a feed, plain and with each option, in turns.

    python -m benchmarks.augment_feed [--rounds N]

Three databases: 32x32 bare pixels as CIFAR's, JPEGs squashed to 256x256 as Caffe's recipe for ImageNet has
them, and JPEGs of about 500x375, all cropped, mirrored, and less a mean. One worker. Prints Markdown: records
a second of the plain feed, and the median of each option's share of that in the same round.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import lmdb
import numpy as np
from google.protobuf import text_format

from benchmarks.photos import make_picture
from caffeflow.augmentation import Augmentation
from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.memory import keep_freed_memory
from caffeflow.proto.caffe_pb2 import Datum, LayerParameter

_ASKED: Final[dict[str, Augmentation]] = {
    "--augment crop": Augmentation(augment="crop"),
    "--rand-scale 0.5 1": Augmentation(rand_scale=(0.5, 1.0)),
    "--augment inception": Augmentation(augment="inception"),
    "--color-jitter": Augmentation(color_jitter=0.4),
    "inception and jitter": Augmentation(augment="inception", color_jitter=0.4),
}
_SOURCES: Final[dict[str, tuple[int, int]]] = {  # records, side of the crop
    "32x32, bare pixels": (2000, 32),
    "256x256, JPEG": (100, 224),
    "500x375, JPEG": (60, 224),
}


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    keep_freed_memory()
    print(f"| records | plain, a second | {' | '.join(_ASKED)} |\n|---|---|{'---|' * len(_ASKED)}")
    with tempfile.TemporaryDirectory(prefix="caffeflow-augment-") as folder:
        for name, (count, crop) in _SOURCES.items():
            database = Path(folder, name.partition(",")[0])
            _write(database, [_record(name, number) for number in range(min(count, 60))])
            print(_row(name, database, count, crop, rounds), flush=True)
    return 0


def _row(name: str, database: Path, count: int, crop: int, rounds: int) -> str:
    sides: list[Augmentation | None] = [None, *_ASKED.values()]
    rates = [[_rate(database, count, crop, asked) for asked in sides] for _ in range(rounds)]
    plain = statistics.median(row[0] for row in rates)
    shares = [statistics.median(row[side] / row[0] for row in rates) for side in range(1, len(sides))]
    return f"| {name} | {plain:,.0f} | {' | '.join(f'{share:.2f}' for share in shares)} |"


def _rate(database: Path, count: int, crop: int, asked: Augmentation | None) -> float:
    """Returns records a second, after two batches that are not counted."""
    text = f"""name: "data" type: "Data" top: "data" top: "label"
        transform_param {{ mirror: true crop_size: {crop} mean_value: 104 mean_value: 117 mean_value: 123 }}
        data_param {{ source: "{database}" batch_size: 20 backend: LMDB prefetch: 1 }}"""
    layer = text_format.Parse(text, LayerParameter())
    feed = open_feed(layer, phase="TRAIN", seed=1, workers=1, augmentation=asked)
    try:
        feed.next()
        feed.next()
        start = time.perf_counter()
        for _ in range(count // 20):
            feed.next()
        return count / (time.perf_counter() - start)
    finally:
        feed.close()


def _record(name: str, number: int) -> bytes:
    size, _, form = name.partition(", ")
    width, height = (int(side) for side in size.split("x"))
    picture = make_picture(number, height, width)
    if form == "JPEG":
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
        return Datum(data=data, encoded=True).SerializeToString()
    planes = np.ascontiguousarray(picture.transpose(2, 0, 1))
    return Datum(channels=3, height=height, width=width, data=planes.tobytes()).SerializeToString()


def _write(path: Path, values: Sequence[bytes]) -> None:
    with lmdb.open(str(path), map_size=1 << 28) as environment, environment.begin(write=True) as writing:
        for number, value in enumerate(values):
            writing.put(f"{number:08d}".encode(), value)


if __name__ == "__main__":
    sys.exit(main())
