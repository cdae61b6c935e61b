"""Writes scikit-learn's digits as two problems: many pictures of 0 to 4, and few of 5 to 9.

1,797 real scans of 8x8 pixels (UCI, Alpaydin and Kaynak). Every third is held out for testing; of each
of 5 to 9, eight are left to train on.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import cv2
from sklearn.datasets import load_digits

FEW = 8


def main(out_dir: Path) -> None:
    digits = load_digits()
    seen: Counter[int] = Counter()
    for index, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        split = "val" if index % 3 == 0 else "train"
        is_new = label >= 5
        seen[label] += split == "train"
        if is_new and split == "train" and seen[label] > FEW:
            continue
        folder = out_dir / ("few" if is_new else "many") / split / str(label)
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{index:04d}.png"), (image * 15.9375).astype("uint8"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
