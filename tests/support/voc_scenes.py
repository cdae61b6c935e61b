"""Scenes with boxes as an annotated folder in VOC's layout, for `caffeflow prepare voc`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2

from tests.support.detection_project import Scene

NAMES: Final = {1: "ball", 2: "cube"}


def write_voc(root: Path, made: Sequence[Scene], val: int) -> None:
    """Writes scenes in VOC's layout; the last `val` are its val set."""
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    for number, scene in enumerate(made):
        height, width, _ = scene.image.shape
        cv2.imwrite(str(root / f"JPEGImages/im{number:03d}.jpg"), scene.image)
        objects = "".join(
            f"<object><name>{NAMES[label]}</name><difficult>{int(difficult)}</difficult><bndbox>"
            f"<xmin>{round(xmin * width)}</xmin><ymin>{round(ymin * height)}</ymin>"
            f"<xmax>{round(xmax * width)}</xmax><ymax>{round(ymax * height)}</ymax></bndbox></object>"
            for label, xmin, ymin, xmax, ymax, difficult in scene.boxes
        )
        size = f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>"
        (root / f"Annotations/im{number:03d}.xml").write_text(f"<annotation>{size}{objects}</annotation>")
    names = [f"im{number:03d}\n" for number in range(len(made))]
    (root / "ImageSets/Main/train.txt").write_text("".join(names[:-val]))
    (root / "ImageSets/Main/val.txt").write_text("".join(names[-val:]))
