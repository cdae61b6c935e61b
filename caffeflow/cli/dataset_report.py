"""A dataset in words and tables: what `prepare` says at its end, and `dataset show`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from caffeflow.proto.labelmap import BACKGROUND
from caffeflow.report.tables import table
from caffeflow.workflows.dataset import Counted, CountedBoxes, Shown

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from caffeflow.data.manifest import Manifest

_LISTED_CLASSES: Final = 20


def as_json(shown: Shown) -> dict[str, Any]:
    """Returns a dataset, or a bare LMDB or list, as JSON has it."""
    return asdict(shown.content) | {"path": str(shown.path)}


def render(shown: Shown) -> RenderableType:
    """Returns it for the terminal."""
    from rich.console import Group

    if isinstance(shown.content, Counted):
        return Group(*_counted(shown.content, str(shown.path)))
    return Group(*describe(shown.content, str(shown.path)), *_settings(shown.content))


def describe(manifest: Manifest, path: str, *, remark: str = "") -> Iterator[RenderableType]:
    """Yields a dataset's facts, splits, classes and mean."""
    size = shape_text((manifest.channels, manifest.height, manifest.width))
    has_boxes = manifest.task == "detection"
    named = [label for label, name in enumerate(manifest.class_names) if name and label != BACKGROUND]
    known = named if has_boxes else range(manifest.classes)
    kind = f"{len(known):,} classes" + (" of objects, beside the background" if has_boxes else "")
    yield f"{path}: {manifest.backend}, {manifest.encode}, {size}, {kind}{remark}"
    yield _splits(manifest)
    if has_boxes:
        yield _boxes(manifest)
    labels = {name: split.labels for name, split in manifest.splits.items()}
    yield from _classes(labels, known, manifest.class_names, of="boxes" if has_boxes else "images")
    if manifest.mean is None:
        yield "mean: none, since the images differ in size or there is no train split"
        return
    names = ("gray",) if len(manifest.mean.channels) == 1 else ("B", "G", "R")
    values = ", ".join(f"{n} {v:.3f}" for n, v in zip(names, manifest.mean.channels, strict=False))
    yield f"mean: {values} ({manifest.mean.path})"


def shape_text(shape: Sequence[int | None]) -> str:
    """Returns `3x256x256`, with `?` for what differs from record to record."""
    return "x".join("?" if side is None else str(side) for side in shape)


def _splits(manifest: Manifest) -> Table:
    rows = [
        (name, f"{split.count:,}", _counts(split.rejected), _counts(split.unusual), split.path)
        for name, split in manifest.splits.items()
    ]
    return table(("split", ">written", "left out", "odd but taken", "in"), rows)


def _boxes(manifest: Manifest) -> Table:
    rows = []
    for name, split in manifest.splits.items():
        boxes = split.boxes or 0
        per_image = f"{boxes / split.count:.1f}" if split.count else ""
        rows.append(
            (name, f"{boxes:,}", per_image, _counts(split.rejected_boxes or {}), _sides(split.box_sides))
        )
    return table(("split", ">boxes", ">an image", "left out", "sides, as share of the image's"), rows)


def _sides(sides: tuple[float, float] | None) -> str:
    """Returns how large boxes are: the side of a square of the same share of the image's area."""
    return "" if sides is None else f"{100 * sides[0]:.1f} % to {100 * sides[1]:.1f} %"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counts.items()) or "0"


def _classes(
    counts_of: Mapping[str, Mapping[int, int]], labels: Sequence[int], names: Sequence[str], *, of: str
) -> Iterator[RenderableType]:
    """Yields the histogram: a table of few classes, a line for each split of many."""
    if len(labels) > _LISTED_CLASSES:
        for split, counts in counts_of.items():
            yield f"{split}: {_spread(counts, labels, names, of=of)}"
        return
    rows = []
    for label in labels:
        counted = (f"{counts.get(label, 0):,}" for counts in counts_of.values())
        rows.append((str(label), names[label] if names else "", *counted))
    yield table(("label", "class", *(f">{split}" for split in counts_of)), rows)


def _spread(counts: Mapping[int, int], labels: Sequence[int], names: Sequence[str], *, of: str) -> str:
    found = {label: counts.get(label, 0) for label in labels}
    fewest, most = (pick(found, key=found.__getitem__) for pick in (min, max))
    first, last = (f"{label} ({names[label]})" if names else str(label) for label in (fewest, most))
    return (
        f"{found[fewest]:,} to {found[most]:,} {of} a class, median {median(found.values()):,.0f}; "
        f"fewest {first}, most {last}"
    )


def _settings(manifest: Manifest) -> Iterator[str]:
    asked = (f"{name} {value}" for name, value in manifest.settings.items() if value not in (None, False))
    yield f"settings: {', '.join(asked)}"
    for name, split in manifest.splits.items():
        yield f"digest of {name}: {split.digest}"


def _counted(counted: Counted, path: str) -> Iterator[RenderableType]:
    """Yields what a bare LMDB or list was found to hold."""
    forms = ", ".join(f"{count:,} {form}" for form, count in counted.forms.items())
    yield f"{path}: {counted.count:,} records ({forms}), no dataset.json"
    shapes = [(shape, f"{count:,}") for shape, count in counted.shapes.items()]
    yield table(("size", ">records"), shapes[:_LISTED_CLASSES])
    if len(shapes) > _LISTED_CLASSES:
        yield f"and {len(shapes) - _LISTED_CLASSES:,} other sizes"
    if counted.boxes is None and min(counted.labels, default=0) < 0:
        yield f"labels: {min(counted.labels)} to {max(counted.labels)}; Caffe expects them from 0 on"
    kind = "records" if counted.boxes is None else "boxes"
    yield from _classes({kind: counted.labels}, sorted(counted.labels), (), of=kind)
    yield from counted.broken
    if counted.boxes is not None:
        yield from _counted_boxes(counted.boxes, counted.count)


def _counted_boxes(boxes: CountedBoxes, records: int) -> Iterator[str]:
    per_image = boxes.count / records
    yield (
        f"boxes: {boxes.count:,}, {per_image:.1f} an image, {boxes.difficult:,} difficult, {boxes.outside:,} "
        f"outside the image in part; {boxes.images_without:,} images without"
    )
    if boxes.sides is not None:
        yield f"sides of boxes, as share of the image's: {_sides(boxes.sides)}"
    yield from boxes.wrong
