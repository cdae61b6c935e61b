"""The result of a test as tables: totals, classes, and what is taken for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from caffeflow.report import detection_result
from caffeflow.report.tables import percent, table

if TYPE_CHECKING:
    from rich.table import Table

_ALL_CLASSES: Final = 20
_WORST: Final = 10
_CONFUSED: Final = 5


def tables(result: Mapping[str, Any]) -> list[Table]:
    """Returns all tables that have rows, the classes first and the totals last."""
    if result.get("task") == "detection":
        return detection_result.tables(result)
    made = [class_table(result), confusion_table(result), total_table(result)]
    return [each for each in made if each is not None]


def total_table(result: Mapping[str, Any]) -> Table:
    """Returns what was tested and how it did."""
    rows = [
        ("net", result["net"]),
        ("weights", result["weights"]),
        ("data", f"{result['source']}, each of {result['records']} records once"),
        ("loss", _number(result["loss"])),
        ("top-1", percent(result["top1"])),
        ("top-5", percent(result["top5"])),
        *((f"output {name}", _number(value)) for name, value in result["outputs"].items()),
        ("speed", f"{result['images_per_second']:.0f} images/s ({result['device']}, {result['precision']})"),
    ]
    return table(("test", ""), [row for row in rows if row[1]])


def class_table(result: Mapping[str, Any]) -> Table | None:
    """Returns the accuracy of each class, or of the worst ones if there are many."""
    classes = [each for each in result["per_class"] if each["records"]]
    if not classes:
        return None
    shown, title = classes, "classes"
    if len(classes) > _ALL_CLASSES:
        shown = sorted(classes, key=lambda each: each["accuracy"])[:_WORST]
        title = f"the {_WORST} worst of {len(classes)} classes"
    rows = [
        (str(each["label"]), each["name"], str(each["records"]), percent(each["accuracy"])) for each in shown
    ]
    return table((">label", "name", ">records", ">accuracy"), rows, title=title)


def confusion_table(result: Mapping[str, Any]) -> Table | None:
    """Returns which classes are taken for which others most often."""
    pairs: Sequence[Mapping[str, Any]] = result["most_confused"][:_CONFUSED]
    if not pairs:
        return None
    rows = [(pair["name"], pair["taken_for"], str(pair["records"])) for pair in pairs]
    return table(("class", "taken for", ">records"), rows, title="most often confused")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
