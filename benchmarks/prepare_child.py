"""Our side of part `prepare` without the process's start: prints how many seconds the work took.

python -m benchmarks.prepare_child build LIST ROOT ENCODE OUT | decode LIST ROOT
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from caffeflow.data.build import BuildSettings, build
from caffeflow.data.sources.image_list import ListSettings, list_jobs
from caffeflow.system import usable_cores


def build_seconds(listing: Path, root: Path, encode: Any, out: Path) -> float:
    """Returns how long a build takes, from the list to the finished dataset."""
    settings = BuildSettings(resize=(256, 256), encode=encode, shuffle=False)
    source = ListSettings(train=listing, root=root)
    build(
        lambda: list_jobs(source),
        replace(settings, limit=32, force=True),
        out.with_name("warm-up"),
        source="list",
    )
    start = time.perf_counter()
    build(lambda: list_jobs(source), settings, out, source="list")
    return time.perf_counter() - start


def decode_seconds(listing: Path, root: Path) -> float:
    """Returns how long it takes to read and decode all pictures in as many threads as a build has."""
    cv2.setNumThreads(0)
    paths = [root / line.rpartition(" ")[0] for line in listing.read_text().splitlines()]
    with ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(_decode, paths[:32]))
        start = time.perf_counter()
        sizes = list(pool.map(_decode, paths))
        seconds = time.perf_counter() - start
    assert min(sizes) > 0
    return seconds


def _decode(path: Path) -> int:
    image = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    return 0 if image is None else image.size


def main(task: str, listing: str, root: str, *more: str) -> None:
    """Does one task."""
    if task == "build":
        encode, out = more
        print(build_seconds(Path(listing), Path(root), encode, Path(out)))
    else:
        print(decode_seconds(Path(listing), Path(root)))


if __name__ == "__main__":
    main(*sys.argv[1:])
