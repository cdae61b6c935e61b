"""The result of a test of detections as tables: classes, COCO's numbers, and the mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from caffeflow.report.tables import percent, table

if TYPE_CHECKING:
    from rich.table import Table

_COCO: Final[Mapping[str, str]] = {
    "AP": "AP, overlaps 0.50 to 0.95",
    "AP50": "AP, overlap 0.50",
    "AP75": "AP, overlap 0.75",
    "AP_small": "AP, small boxes",
    "AP_medium": "AP, medium boxes",
    "AP_large": "AP, large boxes",
    "AR_1": "recall, 1 detection an image",
    "AR_10": "recall, 10 detections",
    "AR_100": "recall, 100 detections",
    "AR_small": "recall, small boxes",
    "AR_medium": "recall, medium boxes",
    "AR_large": "recall, large boxes",
}


def tables(result: Mapping[str, Any]) -> list[Table]:
    """Returns the tables of a test, the classes first and the totals last."""
    made = [class_table(result["per_class"])]
    if result["coco"] is not None:
        made.append(coco_table(result["coco"]))
    return [*made, total_table(result)]


def class_table(classes: Sequence[Mapping[str, Any]]) -> Table:
    """Returns the average precision of each class; of a Caffe's log boxes and detections are not known."""
    rows = [
        (
            str(each["label"]),
            each["name"],
            str(each.get("boxes", "")),
            str(each.get("detections", "")),
            percent(each["ap"]),
        )
        for each in classes
    ]
    return table((">label", "class", ">boxes", ">detections", ">AP"), rows, title="classes")


def coco_table(figures: Mapping[str, float | None]) -> Table:
    """Returns COCO's twelve numbers."""
    rows = [(words, percent(figures[name])) for name, words in _COCO.items()]
    return table(("COCO", ""), rows)


def total_table(result: Mapping[str, Any]) -> Table:
    """Returns what was tested and how it did."""
    speed = f"{result['images_per_second']:.1f} images/s ({result['device']}, {result['precision']})"
    difficult = f", {result['difficult']} of them difficult" if result["difficult"] else ""
    rows = [
        ("net", result["net"]),
        ("weights", result["weights"]),
        ("data", f"{result['source']}, each of {result['records']} images once"),
        ("boxes", f"{result['boxes']}{difficult}; {result['detections']} detections"),
        (f"mAP ({result['ap_version']})", percent(result["map"])),
        ("speed", speed),
    ]
    return table(("test", ""), rows)
