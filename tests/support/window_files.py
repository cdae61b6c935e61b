"""Pictures with windows in them, and the file that lists these."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

Window = tuple[int, float, int, int, int, int]
"""class, overlap, x1, y1, x2, y2"""


def write_windows(
    folder: Path, windows: Sequence[Sequence[Window]], *, size: tuple[int, int] = (41, 53)
) -> Path:
    """Writes a picture `<n>.png` for each list of windows, and returns the window file; paths are bare."""
    random = np.random.default_rng(7)
    blocks = []
    for number, own in enumerate(windows):
        coarse = random.integers(0, 256, (7, 11, 3), dtype=np.uint8)
        picture = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC)
        assert cv2.imwrite(str(folder / f"{number}.png"), picture)
        lines = [f"# {number}", f"{number}.png", "3", *map(str, size), str(len(own))]
        blocks += [*lines, *(" ".join(map(str, window)) for window in own)]
    source = folder / "windows.txt"
    source.write_text("\n".join(blocks) + "\n")
    return source
