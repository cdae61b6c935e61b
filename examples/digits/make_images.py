"""Writes the handwritten digits that scikit-learn carries as PNG files, a folder a class.

1,797 real scans of 8x8 pixels (UCI, Alpaydin and Kaynak). Every fifth is held out for testing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
from sklearn.datasets import load_digits


def main(out_dir: Path) -> None:
    digits = load_digits()
    for index, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        split = "val" if index % 5 == 0 else "train"
        folder = out_dir / split / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{index:04d}.png"), (image * 15.9375).astype("uint8"))
    print(f"{len(digits.images)} images in {out_dir}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
