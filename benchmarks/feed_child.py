"""The sides of part `feed`, each in a process of its own: prints how many seconds so many samples took.

python -m benchmarks.feed_child augmented|resized|mixed|bilinear LMDB SAMPLES
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import cv2
import lmdb
import numpy as np
from google.protobuf import text_format

from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.memory import keep_freed_memory
from caffeflow.proto.caffe_pb2 import AnnotatedDatum, LayerParameter
from caffeflow.system import usable_cores

BATCH_SIZE: Final = 32
SIDE: Final = 300
_WARM_UP: Final = 2  # batches
_INTERPOLATIONS: Final = {
    "LINEAR": cv2.INTER_LINEAR,
    "AREA": cv2.INTER_AREA,
    "NEAREST": cv2.INTER_NEAREST,
    "CUBIC": cv2.INTER_CUBIC,
    "LANCZOS4": cv2.INTER_LANCZOS4,
}
_TESTING: Final = "mean_value: 127.5 scale: 0.007843"
_TRAINING: Final = f"""{_TESTING} mirror: true emit_constraint {{ emit_type: CENTER }}
    distort_param {{
      brightness_prob: 0.5 brightness_delta: 32 contrast_prob: 0.5 contrast_lower: 0.5 contrast_upper: 1.5
      hue_prob: 0.5 hue_delta: 18 saturation_prob: 0.5 saturation_lower: 0.5 saturation_upper: 1.5
    }}
    expand_param {{ prob: 0.5 max_expand_ratio: 4 }}"""
_OVERLAPS: Final = ("min", 0.1), ("min", 0.3), ("min", 0.5), ("min", 0.7), ("min", 0.9), ("max", 1.0)


def write_records(path: Path, jpegs: Sequence[Path]) -> None:
    """Writes pictures with one to six boxes each, which the samplers look for."""
    rng = np.random.default_rng(1)
    environment = lmdb.open(str(path), map_size=1 << 34)
    with environment, environment.begin(write=True) as transaction:
        for number, jpeg in enumerate(jpegs):
            record = AnnotatedDatum(type=AnnotatedDatum.BBOX)
            record.datum.data, record.datum.encoded, record.datum.label = jpeg.read_bytes(), True, -1
            for label in range(1, int(rng.integers(2, 8))):
                width, height = rng.uniform(0.05, 0.7, 2)
                x, y = rng.uniform(0, 1 - width), rng.uniform(0, 1 - height)
                box = record.annotation_group.add(group_label=label).annotation.add().bbox
                box.xmin, box.ymin, box.xmax, box.ymax = x, y, x + width, y + height
            transaction.put(f"{number:08d}".encode(), record.SerializeToString())


def layer(database: Path, *, is_augmented: bool) -> LayerParameter:
    """Returns the data layer of the published train or test nets."""
    modes = " ".join(f"interp_mode: {name}" for name in _INTERPOLATIONS) if is_augmented else ""
    samplers = "".join(
        f"""batch_sampler {{
              sampler {{ min_scale: 0.3 max_scale: 1 min_aspect_ratio: 0.5 max_aspect_ratio: 2 }}
              sample_constraint {{ {end}_jaccard_overlap: {overlap} }} max_sample: 1 max_trials: 50
            }}"""
        for end, overlap in _OVERLAPS
    )
    text = f"""name: "data" type: "AnnotatedData" top: "data" top: "label"
        transform_param {{ {_TRAINING if is_augmented else _TESTING}
          resize_param {{ height: {SIDE} width: {SIDE} {modes} }} }}
        data_param {{ source: "{database}" batch_size: {BATCH_SIZE} backend: LMDB }}
        annotated_data_param {{
          {f"batch_sampler {{ max_sample: 1 max_trials: 1 }} {samplers}" if is_augmented else ""} }}"""
    return text_format.Parse(text, LayerParameter())


def feed_seconds(database: Path, samples: int, *, is_augmented: bool) -> float:
    """Returns how long the feed takes for so many samples."""
    feed = open_feed(layer(database, is_augmented=is_augmented), phase="TRAIN", seed=1)
    try:
        for _ in range(_WARM_UP):
            feed.next()
        begun = feed.position()["record"]
        start = time.perf_counter()
        while feed.position()["record"] - begun < samples:
            feed.next()
        return time.perf_counter() - start
    finally:
        feed.close()


def resizing_seconds(database: Path, samples: int, modes: Sequence[int]) -> float:
    """Returns how long it takes to decode and resize so many JPEGs, by these interpolations in turn."""
    cv2.setNumThreads(0)
    with lmdb.open(str(database), readonly=True, lock=False) as environment, environment.begin() as reading:
        jpegs = [AnnotatedDatum.FromString(value).datum.data for _, value in reading.cursor()]

    def resize(job: tuple[bytes, int]) -> int:
        image: Any = cv2.imdecode(np.frombuffer(job[0], np.uint8), cv2.IMREAD_UNCHANGED)
        return int(cv2.resize(image, (SIDE, SIDE), interpolation=job[1]).size)

    jobs = list(islice(zip(cycle(jpegs), cycle(modes), strict=False), samples))
    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(resize, jobs[: _WARM_UP * BATCH_SIZE]))
        start = time.perf_counter()
        sizes = list(pool.map(resize, jobs))
        seconds = time.perf_counter() - start
    assert set(sizes) == {SIDE * SIDE * 3}
    return seconds


def main(side: str, database: str, samples: str) -> None:
    """Measures one side."""
    keep_freed_memory()  # as every executor does; otherwise each picture's memory is mapped anew
    if side in ("augmented", "resized"):
        print(feed_seconds(Path(database), int(samples), is_augmented=side == "augmented"))
    else:
        modes = list(_INTERPOLATIONS.values()) if side == "mixed" else [cv2.INTER_LINEAR]
        print(resizing_seconds(Path(database), int(samples), modes))


if __name__ == "__main__":
    main(*sys.argv[1:])
