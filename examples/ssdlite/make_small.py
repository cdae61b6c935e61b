"""Writes a small twin of COCO 2017: digits in scenes, laid out and annotated as COCO's archives unpack."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from sklearn.datasets import load_digits

sys.path.insert(0, str(Path(__file__).parents[1] / "detection"))
from make_scenes import HEIGHT, NAMES, WIDTH, make_scene

COUNTS = {"train2017": 120, "val2017": 24}


def main(root: Path) -> None:
    """Writes both image folders and their `annotations/instances_*.json`."""
    digits = load_digits()
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    categories = [{"id": number, "name": name} for number, name in enumerate(NAMES, start=1)]
    for name, count in COUNTS.items():
        (root / name).mkdir(exist_ok=True)
        chosen = np.flatnonzero((np.arange(len(digits.images)) % 5 == 0) == (name == "val2017"))
        random = np.random.default_rng(count)
        images, annotations = [], []
        for number in range(1, count + 1):
            scene, pasted = make_scene(digits.images[chosen] / 16, digits.target[chosen], random)
            file_name = f"{number:012d}.jpg"
            cv2.imwrite(str(root / name / file_name), scene)
            images.append({"id": number, "file_name": file_name, "height": HEIGHT, "width": WIDTH})
            for digit in pasted:
                left, top = digit.xmin - 1, digit.ymin - 1  # COCO counts from 0
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number,
                        "category_id": NAMES.index(digit.name) + 1,
                        "bbox": [left, top, digit.xmax - left, digit.ymax - top],
                        "iscrowd": 0,
                    }
                )
        content = {"images": images, "annotations": annotations, "categories": categories}
        (root / "annotations" / f"instances_{name}.json").write_text(json.dumps(content))
    print(f"{' and '.join(f'{count} pictures in {name}' for name, count in COUNTS.items())} below {root}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
