"""Pictures for the native tests, made here: handwritten digits, and textures whose class can be learned."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from sklearn.datasets import load_digits


def write_digits(folder: Path, *, side: int = 28, limit: int | None = None) -> None:
    """Writes scikit-learn's digits as gray PNGs, a folder a class."""
    digits = load_digits()
    for index, (image, label) in enumerate(zip(digits.images[:limit], digits.target[:limit], strict=True)):
        gray = np.clip(image * (255 / 16), 0, 255).astype(np.uint8)
        resized = cv2.resize(gray, (side, side), interpolation=cv2.INTER_LINEAR)
        path = folder / str(label) / f"{index:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, resized)


def write_textures(
    folder: Path,
    *,
    classes: int,
    per_class: int,
    sizes: list[tuple[int, int]],
    suffix: str = ".png",
    confusion: float = 0.0,
    seed: int = 7,
) -> None:
    """Writes smooth colour textures, a folder a class: waves of the class's direction, colours and noise.

    Args:
        folder: Where the class folders `c0`, `c1`, … go.
        classes: How many.
        per_class: Pictures of each.
        sizes: (height, width), taken in turn.
        suffix: `.png`, `.jpg` or `.bmp`.
        confusion: Share of pictures that look like another class, so that no net gets the loss down to
            where only its rounding is left.
        seed: Of everything that is drawn.
    """
    random = np.random.default_rng(seed)
    for label in range(classes):
        for index in range(per_class):
            height, width = sizes[(label + index) % len(sizes)]
            path = folder / f"c{label}" / f"{index:04d}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            looks_like = int(random.integers(classes)) if random.random() < confusion else label
            _write(path, _texture(looks_like / classes, height, width, random))


def write_list(folder: Path, path: Path, *, seed: int = 3) -> list[str]:
    """Writes Caffe's `path label` lines for class folders, in a drawn order; returns the paths."""
    labels = {
        name: label for label, name in enumerate(sorted(p.name for p in folder.iterdir() if p.is_dir()))
    }
    files = sorted(p.relative_to(folder) for p in folder.glob("*/*"))
    order = np.random.default_rng(seed).permutation(len(files))
    shuffled = [files[place] for place in order]
    path.write_text("".join(f"{name} {labels[name.parts[0]]}\n" for name in shuffled))
    return [str(name) for name in shuffled]


def _texture(kind: float, height: int, width: int, random: np.random.Generator) -> np.ndarray:
    rows, columns = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    angle = np.pi * kind + random.normal(0, 0.15)
    along = rows * np.cos(angle) + columns * np.sin(angle)
    wave = np.sin(2 * np.pi * (random.uniform(2, 4) * along + random.uniform()))
    planes = [
        120 + 60 * wave * np.cos(2 * np.pi * (kind + shift)) + 25 * np.sin(5 * rows + shift)
        for shift in (0, 0.3, 0.7)
    ]
    noise = random.normal(0, 12, (height, width, 3))
    return np.clip(np.stack(planes, axis=-1) + noise, 0, 255).astype(np.uint8)


def _write(path: Path, picture: np.ndarray) -> None:
    assert cv2.imwrite(str(path), picture), path
