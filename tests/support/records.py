"""Small LMDBs and image files for tests, written without caffeflow's own sinks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import lmdb
import numpy as np
from numpy.typing import NDArray

from caffeflow.proto import caffe_pb2

Planes = NDArray[np.uint8]


def random_planes(count: int, shape: tuple[int, int, int], *, seed: int = 7) -> list[Planes]:
    """Returns pictures (C, H, W) of random pixels."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, shape, np.uint8) for _ in range(count)]


def raw_datum(planes: Planes, label: int) -> bytes:
    channels, height, width = planes.shape
    datum = caffe_pb2.Datum(channels=channels, height=height, width=width, label=label)
    datum.data = planes.tobytes()
    return datum.SerializeToString()


def encoded_datum(content: bytes, label: int) -> bytes:
    return caffe_pb2.Datum(data=content, label=label, encoded=True).SerializeToString()


def picture_bytes(planes: Planes, kind: str = "png") -> bytes:
    """Returns planes (C, H, W) as a file."""
    image = planes[0] if len(planes) == 1 else np.ascontiguousarray(planes.transpose(1, 2, 0))
    return cv2.imencode(f".{kind}", image)[1].tobytes()


def write_lmdb(path: Path, values: Iterable[bytes]) -> Path:
    """Writes values under keys that count up, as convert_imageset's do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with lmdb.open(str(path), map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
        for index, value in enumerate(values):
            transaction.put(f"{index:08d}_{index}.png".encode(), value)
    return path


def write_raw_lmdb(path: Path, planes: Sequence[Planes], labels: Sequence[int] | None = None) -> Path:
    """Writes bare pixels; the labels are 0, 1, 2, ... unless given."""
    numbers = range(len(planes)) if labels is None else labels
    return write_lmdb(path, [raw_datum(one, label) for one, label in zip(planes, numbers, strict=True)])


def write_image_list(
    folder: Path, planes: Sequence[Planes], labels: Sequence[int], *, name: str = "list.txt"
) -> Path:
    """Writes pictures as PNG below `folder`, with a space in each path, and a list of them."""
    lines = []
    for index, (one, label) in enumerate(zip(planes, labels, strict=True)):
        path = folder / f"of class {label}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture_bytes(one))
        lines.append(f"{path.relative_to(folder)} {label}\n")
    (folder / name).write_text("".join(lines))
    return folder / name
