"""A set of JPEGs like ImageNet's: sizes around 500x375, about 110 KB each, with noise of every scale.

Natural images have about as much contrast at each scale, so a picture is a sum of smooth noise octaves,
cut by some edges, with weaker colour than brightness. The pictures are made once and kept in the cache;
a seed makes them the same everywhere, up to OpenCV's version.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

COUNT: Final = 500
_EDITION: Final = 1  # raise it when the pictures change
_SIZES: Final = ((375, 500), (500, 375), (333, 500), (375, 500), (375, 500))
_QUALITY: Final = 90

Plane = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Photos:
    """The pictures: `names` below `root`."""

    root: Path
    names: tuple[str, ...]

    @property
    def mean_kilobytes(self) -> float:
        """Size of the mean file."""
        return sum((self.root / name).stat().st_size for name in self.names) / len(self.names) / 1000

    def write_list(
        self, path: Path, *, times: int = 1, count: int | None = None, classes: int = 1000
    ) -> Path:
        """Writes Caffe's list of the first `count`, over and over; labels rise from 0 to the last class."""
        names = self.names[:count] * times
        rise = (classes - 1) / max(len(names) - 1, 1)
        path.write_text("".join(f"{name} {round(place * rise)}\n" for place, name in enumerate(names)))
        return path


def make_photos(count: int = COUNT) -> Photos:
    """Returns the pictures, making them if they are not in the cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = cache / "caffeflow" / "benchmarks" / f"photos-{_EDITION}-{count}"
    names = tuple(f"{number:04d}.jpg" for number in range(count))
    if not root.is_dir():
        root.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=root.name, dir=root.parent))
        try:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(pool.map(partial(_write, new), names))
            new.rename(root)
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return Photos(root=root, names=names)


def _write(folder: Path, name: str) -> None:
    number = int(name.removesuffix(".jpg"))
    picture = make_picture(number, *_SIZES[number % len(_SIZES)])
    cv2.imwrite(str(folder / name), picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])


def make_picture(seed: int, height: int, width: int) -> NDArray[np.uint8]:
    """Returns a picture (height, width, 3)."""
    rng = np.random.default_rng(seed)
    luma = _octaves(rng, height, width, finest=1, detail=rng.uniform(0.2, 0.55))
    edges = np.zeros((height, width), np.float32)
    for _ in range(12):
        corners = rng.integers(0, max(height, width), (int(rng.integers(3, 6)), 2)).astype(np.int32)
        cv2.fillPoly(edges, [corners], float(rng.normal()))
    chroma = [_octaves(rng, height, width, finest=4, detail=0.22) for _ in range(3)]
    planes = [118 + 40 * luma + 22 * edges + 14 * colour for colour in chroma]
    return np.clip(cv2.merge(planes), 0, 255).astype(np.uint8)


def _octaves(rng: np.random.Generator, height: int, width: int, *, finest: int, detail: float) -> Plane:
    """Returns a sum of noise whose patches are `finest`, twice, four times, … pixels large.

    Args:
        rng: Draws the noise.
        height: Of the picture.
        width: Of the picture.
        finest: Size of the smallest patches.
        detail: Contrast at that size; pictures differ in it most, and so do their files.
    """
    total = np.zeros((height, width), np.float32)
    size, weight = finest, detail
    while size < max(height, width):
        coarse = rng.standard_normal((height // size + 2, width // size + 2), np.float32)
        total += weight * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        size, weight = size * 2, min(weight * 1.35, 0.6)
    return total
