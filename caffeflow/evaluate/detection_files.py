"""Detections as the result files that VOC's and COCO's own evaluations read.

Boxes are in pixels of the original images. VOC's lines are `name score xmin ymin xmax ymax`, a file for
each class; COCO's are objects with `bbox` as x, y, width, height, all in one file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from caffeflow.evaluate.detection_boxes import Floats
from caffeflow.files import write_text

COCO_FILE: Final = "coco_results.json"

_COCO_NAME: Final = re.compile(r"(?:COCO_\w+_)?(\d+)")


def write_voc_files(
    folder: Path, detections: Floats, *, images: Sequence[str], classes: Mapping[int, str]
) -> list[Path]:
    """Writes `comp4_det_test_CLASS.txt` for each class and returns the paths.

    Args:
        folder: Where to.
        detections: (D, 7): image, label, score, xmin, ymin, xmax, ymax.
        images: The name of each image.
        classes: The name of each label, without the background.
    """
    paths = []
    for label, name in classes.items():
        lines = [
            f"{images[int(image)]} {score:.6f} {xmin:.2f} {ymin:.2f} {xmax:.2f} {ymax:.2f}\n"
            for image, _, score, xmin, ymin, xmax, ymax in detections[detections[:, 1] == label].tolist()
        ]
        paths.append(folder / f"comp4_det_test_{name.replace('/', '_')}.txt")
        write_text(paths[-1], "".join(lines))
    return paths


def write_coco_file(
    folder: Path, detections: Floats, *, images: Sequence[str], classes: Mapping[int, str]
) -> Path:
    """Writes `coco_results.json` and returns its path; see `write_voc_files` for the arguments."""
    image_ids, category_ids = _image_ids(images), _category_ids(classes)
    found: list[dict[str, Any]] = []
    for image, label, score, xmin, ymin, xmax, ymax in detections.tolist():
        found.append(
            {
                "image_id": image_ids[int(image)],
                "category_id": category_ids[int(label)],
                "bbox": [round(value, 2) for value in (xmin, ymin, xmax - xmin, ymax - ymin)],
                "score": round(score, 6),
            }
        )
    path = folder / COCO_FILE
    write_text(path, json.dumps(found) + "\n")
    return path


def _image_ids(names: Sequence[str]) -> list[int] | list[str]:
    """Returns COCO's ids, where the images are called by them; else their names."""
    matches = [_COCO_NAME.fullmatch(name) for name in names]
    ids = [int(match[1]) for match in matches if match]
    return ids if len(set(ids)) == len(names) else list(names)


def _category_ids(classes: Mapping[int, str]) -> dict[int, int]:
    """Returns COCO's ids, by which its label map for SSD calls the classes; else the labels."""
    if all(name.isdigit() for name in classes.values()):
        return {label: int(name) for label, name in classes.items()}
    return {label: label for label in classes}
