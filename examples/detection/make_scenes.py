"""Writes pictures with handwritten digits in them, annotated as Pascal VOC is: a small world to detect in.

The digits are the 1,797 real scans that scikit-learn carries (UCI, Alpaydin and Kaynak), pasted in many
sizes and colours onto blotchy backgrounds. Every fifth scan is kept for the pictures of the test set, so
that no digit of a test picture was ever trained on.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

HEIGHT, WIDTH = 144, 192
DIGIT_SIDES = (30, 72)
MOST_DIGITS = 4
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Pasted:
    """A digit in a scene: its name, and its box in pixels counted from 1, as VOC does."""

    name: str
    xmin: int
    ymin: int
    xmax: int
    ymax: int


def main(root: Path, *, trained: int, tested: int) -> None:
    """Writes `trained` pictures of the set trainval and `tested` of the set test below `root`."""
    digits = load_digits()
    scans = digits.images / 16
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, count, first_of_five in (("trainval", trained, False), ("test", tested, True)):
        chosen = [index for index in range(len(scans)) if (index % 5 == 0) == first_of_five]
        random = np.random.default_rng(len(name))
        stems = []
        for number in range(count):
            stem = f"{name}_{number:04d}"
            scene, pasted = make_scene(scans[chosen], digits.target[chosen], random)
            cv2.imwrite(str(root / "JPEGImages" / f"{stem}.jpg"), scene)
            write_annotation(root / "Annotations" / f"{stem}.xml", pasted)
            stems.append(stem)
        (root / "ImageSets" / "Main" / f"{name}.txt").write_text("\n".join(stems) + "\n")
    print(f"{trained} pictures to train on and {tested} to test on in {root}")


def make_scene(
    scans: NDArray[np.float64], labels: NDArray[np.int64], random: np.random.Generator
) -> tuple[NDArray[np.uint8], list[Pasted]]:
    """Returns a picture (HEIGHT, WIDTH, 3), BGR, and the digits in it, which do not overlap."""
    coarse = random.uniform(10, 130, (5, 6, 3)).astype(np.float32)
    scene = cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    scene += random.normal(0, 6, scene.shape).astype(np.float32)
    free = np.ones((HEIGHT, WIDTH), bool)
    pasted = []
    for index in random.integers(len(scans), size=random.integers(1, MOST_DIGITS + 1)):
        side = int(random.integers(*DIGIT_SIDES))
        top, left = (int(random.integers(0, size - side)) for size in (HEIGHT, WIDTH))
        if not free[top : top + side, left : left + side].all():
            continue
        free[top : top + side, left : left + side] = False
        ink = np.clip(cv2.resize(scans[index], (side, side), interpolation=cv2.INTER_CUBIC), 0, 1)
        colour = random.uniform(150, 255, 3)
        window = scene[top : top + side, left : left + side]
        window += ink[..., None] * (colour - window)
        rows, columns = (np.flatnonzero((ink > 0.3).any(axis=axis)) for axis in (1, 0))
        box = (left + columns[0] + 1, top + rows[0] + 1, left + columns[-1] + 1, top + rows[-1] + 1)
        pasted.append(Pasted(NAMES[labels[index]], *map(int, box)))
    return np.clip(scene, 0, 255).astype(np.uint8), pasted


def write_annotation(path: Path, pasted: list[Pasted]) -> None:
    """Writes the boxes of one picture as VOC's XML."""
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = f"{path.stem}.jpg"
    size = ElementTree.SubElement(root, "size")
    for name, value in (("width", WIDTH), ("height", HEIGHT), ("depth", 3)):
        ElementTree.SubElement(size, name).text = str(value)
    for digit in pasted:
        thing = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(thing, "name").text = digit.name
        ElementTree.SubElement(thing, "difficult").text = "0"
        box = ElementTree.SubElement(thing, "bndbox")
        for name in ("xmin", "ymin", "xmax", "ymax"):
            ElementTree.SubElement(box, name).text = str(getattr(digit, name))
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), trained=int(sys.argv[2]), tested=int(sys.argv[3]))
