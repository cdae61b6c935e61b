"""What `prepare` says in words: the forecast, and the table at the end."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from caffeflow.data.folder import REJECTS_NAME
from caffeflow.data.forecast import gigabytes
from caffeflow.workflows.prepare import Preview, Report

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from caffeflow.data.build import Forecast, Manifest

_LISTED_CLASSES: Final = 20


def as_json(outcome: Report | Preview) -> dict[str, Any]:
    """Returns the outcome as JSON has it."""
    return asdict(outcome) | {"out_dir": str(outcome.out_dir)}


def render(outcome: Report | Preview) -> RenderableType:
    """Returns the outcome for the terminal."""
    return _preview_text(outcome) if isinstance(outcome, Preview) else _report(outcome)


def forecast_line(expected: Forecast) -> str:
    """Returns the forecast in one line: disk space of each form, and time."""
    forms = ", ".join(f"{form} {gigabytes(size)}" for form, size in expected.bytes_of.items())
    time = _duration(expected.seconds)
    return f"forecast: {expected.images:,} images; {forms}; takes {expected.encoding}, about {time}"


def _preview_text(preview: Preview) -> str:
    counts = ", ".join(f"{split} {count:,}" for split, count in preview.counts.items())
    classes = f"; {len(preview.class_names):,} classes" if preview.class_names else ""
    return f"{preview.out_dir} would hold {counts}{classes}\n{forecast_line(preview.expected)}"


def _report(report: Report) -> RenderableType:
    from rich.console import Group

    manifest = report.manifest
    parts: list[RenderableType] = [_headline(report), _splits(manifest)]
    if manifest.classes <= _LISTED_CLASSES:
        parts.append(_classes(manifest))
    else:
        parts.extend(_class_lines(manifest))
    return Group(*parts, *_tail(report))


def _headline(report: Report) -> str:
    manifest = report.manifest
    sides = (manifest.channels, manifest.height, manifest.width)
    size = "x".join("?" if side is None else str(side) for side in sides)
    what = f"{manifest.backend}, {manifest.encode}, {size}, {manifest.classes:,} classes"
    return f"{report.out_dir}: {what}" + ("" if report.images_per_s else " (was there already)")


def _splits(manifest: Manifest) -> Table:
    from rich.table import Table

    table = Table("split", box=None)
    table.add_column("written", justify="right")
    for title in ("left out", "odd but taken", "in"):
        table.add_column(title)
    for name, split in manifest.splits.items():
        table.add_row(name, f"{split.count:,}", _counts(split.rejected), _counts(split.unusual), split.path)
    return table


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counts.items()) or "0"


def _classes(manifest: Manifest) -> Table:
    """Returns the histogram class by class."""
    from rich.table import Table

    table = Table("label", "class", box=None)
    for split in manifest.splits:
        table.add_column(split, justify="right")
    for label in range(manifest.classes):
        name = manifest.class_names[label] if manifest.class_names else ""
        counts = (f"{split.labels.get(label, 0):,}" for split in manifest.splits.values())
        table.add_row(str(label), name, *counts)
    return table


def _class_lines(manifest: Manifest) -> Iterator[str]:
    """Yields the histogram of many classes in a line for each split."""
    for name, split in manifest.splits.items():
        counts = [split.labels.get(label, 0) for label in range(manifest.classes)]
        fewest, most = (pick(range(len(counts)), key=counts.__getitem__) for pick in (min, max))
        yield (
            f"{name}: {counts[fewest]:,} to {counts[most]:,} images a class, median {median(counts):,.0f}; "
            f"fewest {_class(manifest, fewest)}, most {_class(manifest, most)}"
        )


def _class(manifest: Manifest, label: int) -> str:
    return f"{label} ({manifest.class_names[label]})" if manifest.class_names else str(label)


def _tail(report: Report) -> Iterator[str]:
    manifest = report.manifest
    if manifest.mean is not None:
        names = ("gray",) if len(manifest.mean.channels) == 1 else ("B", "G", "R")
        values = ", ".join(f"{n} {v:.3f}" for n, v in zip(names, manifest.mean.channels, strict=False))
        yield f"mean: {values} ({manifest.mean.path})"
    else:
        yield "mean: none, since the images differ in size or there is no train split"
    if any(split.rejected for split in manifest.splits.values()):
        yield f"left out: see {report.out_dir / REJECTS_NAME}"
    if report.images_per_s:
        yield f"speed: {report.images_per_s:,.0f} images/s"
    yield f"next: caffeflow render {_net_for(manifest)} --data {shlex.quote(str(report.out_dir))}"


def _net_for(manifest: Manifest) -> str:
    """Returns a net that takes images of this size."""
    side = min(manifest.height or 256, manifest.width or 256)
    if side < 32:
        return "lenet"
    return "cifar10-quick" if side < 96 else "mobilenet-v2"


def _duration(seconds: float) -> str:
    """Returns a time span in words: `40 s`, `3 min`, `2.5 h`."""
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
