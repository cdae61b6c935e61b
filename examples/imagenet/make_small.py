"""Builds a small twin of the ImageNet archives: the same names and layout, a few classes of drawn images.

`ILSVRC2012_img_train.tar` is a tar of one tar a class; `ILSVRC2012_img_val.tar` is flat, and `val.txt` has
its labels. Each class is a shape and a colour, so that a net can learn it in a minute.
"""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

import cv2
import numpy as np

SYNSETS = ("n01440764", "n01443537", "n02007558", "n02085620", "n03445777")
COLOURS = ((40, 60, 220), (60, 200, 60), (220, 80, 40), (30, 200, 220), (200, 60, 200))
TRAIN_PER_CLASS, VAL_PER_CLASS = 40, 8


def draw(label: int, rng: np.random.Generator) -> bytes:
    """Returns a JPEG of a random size with the class's shape somewhere in it."""
    height, width = (int(size) for size in rng.integers(120, 400, 2))
    image = rng.normal(128, 25, (height, width, 3)).clip(0, 255).astype(np.uint8)
    centre = (int(width * rng.uniform(0.35, 0.65)), int(height * rng.uniform(0.35, 0.65)))
    size = int(min(height, width) * rng.uniform(0.2, 0.3))
    sides = label + 3
    angles = np.arange(sides) * 2 * np.pi / sides + rng.uniform(0, 1)
    corners = np.stack([np.cos(angles), np.sin(angles)], axis=1) * size + centre
    cv2.fillPoly(image, [corners.astype(np.int32)], COLOURS[label])
    return cv2.imencode(".jpg", image)[1].tobytes()


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def main(out_dir: Path) -> None:
    out_dir.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(2012)
    with tarfile.open(out_dir / "ILSVRC2012_img_train.tar", "w") as outer:
        for label, synset in enumerate(SYNSETS):
            inner_bytes = io.BytesIO()
            with tarfile.open(fileobj=inner_bytes, mode="w") as inner:
                for index in range(TRAIN_PER_CLASS):
                    add(inner, f"{synset}_{index}.JPEG", draw(label, rng))
            add(outer, f"{synset}.tar", inner_bytes.getvalue())
    lines = []
    with tarfile.open(out_dir / "ILSVRC2012_img_val.tar", "w") as flat:
        for index in range(VAL_PER_CLASS * len(SYNSETS)):
            label = index % len(SYNSETS)
            name = f"ILSVRC2012_val_{index + 1:08d}.JPEG"
            add(flat, name, draw(label, rng))
            lines.append(f"{name} {label}\n")
    (out_dir / "val.txt").write_text("".join(lines))
    print(f"{TRAIN_PER_CLASS * len(SYNSETS)} + {len(lines)} images in {out_dir}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
