"""COCO's twelve numbers, by pycocotools, COCO's own program; it comes with the extra `coco`.

Areas are those of boxes, since no outlines are known here; COCO's own small, medium and large go by
outlines, so that single boxes may change sides. A difficult box counts as a crowd: it is not to be found,
and whatever finds it is not wrong.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import Any, Final

from caffeflow.errors import UsageError
from caffeflow.evaluate.detection_boxes import Floats

NAMES: Final = (
    "AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large",
    "AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large",
)  # fmt: skip


def check_pycocotools() -> None:
    """Looks for pycocotools.

    Raises:
        UsageError: It is not installed.
    """
    try:
        import pycocotools.cocoeval  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "COCO's numbers are worked out by pycocotools, which is not installed; get it with:"
            " pip install 'caffeflow[coco]'"
        ) from error


def coco_figures(
    detections: Floats, truth: Floats, *, images: int, labels: Sequence[int]
) -> Mapping[str, float | None]:
    """Returns the twelve numbers by name; None where there is nothing to find.

    Args:
        detections: (D, 7): image, label, score, xmin, ymin, xmax, ymax in pixels.
        truth: (G, 8): image, label, instance, xmin, ymin, xmax, ymax in pixels, difficult.
        images: How many were looked at; they are numbered from 0.
        labels: The classes.

    Raises:
        UsageError: pycocotools is not installed.
    """
    check_pycocotools()
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with redirect_stdout(io.StringIO()):  # they tell how they get on
        known = COCO()
        known.dataset = _dataset(truth, images=images, labels=labels)
        known.createIndex()
        found = COCO()
        found.dataset = known.dataset | {"annotations": _annotations(detections)}
        found.createIndex()
        evaluation = COCOeval(known, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    figures = zip(NAMES, evaluation.stats.tolist(), strict=True)
    return {name: None if value < 0 else value for name, value in figures}


def _dataset(truth: Floats, *, images: int, labels: Sequence[int]) -> dict[str, Any]:
    boxes = [
        {**_box(number, image, label, corners), "iscrowd": int(difficult)}
        for number, (image, label, _, *corners, difficult) in enumerate(truth.tolist(), start=1)
    ]
    return {
        "images": [{"id": image} for image in range(images)],
        "categories": [{"id": label} for label in labels],
        "annotations": boxes,
    }


def _annotations(detections: Floats) -> list[dict[str, Any]]:
    return [
        {**_box(number, image, label, corners), "iscrowd": 0, "score": score}
        for number, (image, label, score, *corners) in enumerate(detections.tolist(), start=1)
    ]


def _box(number: int, image: float, label: float, corners: Sequence[float]) -> dict[str, Any]:
    xmin, ymin, xmax, ymax = corners
    width, height = xmax - xmin, ymax - ymin
    return {
        "id": number,
        "image_id": int(image),
        "category_id": int(label),
        "bbox": [xmin, ymin, width, height],
        "area": width * height,
    }
