"""What `prepare` says in words: the forecast, and the table at the end."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from caffeflow.cli.dataset_report import describe
from caffeflow.data.folder import REJECTS_NAME
from caffeflow.data.forecast import gigabytes
from caffeflow.workflows.prepare import Preview, Report

if TYPE_CHECKING:
    from rich.console import RenderableType

    from caffeflow.data.build import Forecast, Manifest


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

    remark = "" if report.images_per_s else " (was there already)"
    return Group(*describe(report.manifest, str(report.out_dir), remark=remark), *_tail(report))


def _tail(report: Report) -> Iterator[str]:
    manifest = report.manifest
    splits = manifest.splits.values()
    if any(split.rejected or split.rejected_boxes for split in splits):
        yield f"left out: see {report.out_dir / REJECTS_NAME}"
    if report.images_per_s:
        yield f"speed: {report.images_per_s:,.0f} images/s"
    yield f"next: caffeflow render {_net_for(manifest)} --data {shlex.quote(str(report.out_dir))}"


def _net_for(manifest: Manifest) -> str:
    """Returns a net that takes images of this size, or finds boxes."""
    if manifest.task == "detection":
        return "ssdlite-coco" if manifest.source == "coco" else "ssdlite-voc"
    side = min(manifest.height or 256, manifest.width or 256)
    if side < 32:
        return "lenet"
    return "cifar10-quick" if side < 96 else "mobilenet-v2"


def _duration(seconds: float) -> str:
    """Returns a time span in words: `40 s`, `3 min`, `2.5 h`."""
    if seconds < 100:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
