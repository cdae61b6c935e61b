"""The end of a build: mean, labels and rejects are put in place, and `dataset.json` last."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Mapping

from caffeflow.data import digest
from caffeflow.data.folder import (
    LABEL_MAP_NAME,
    LABELS_NAME,
    MEAN_NAME,
    REJECTS_NAME,
    replace_file,
    unmark,
)
from caffeflow.data.manifest import MANIFEST_NAME, Manifest, Mean, Split, write_manifest
from caffeflow.data.mean import channel_means
from caffeflow.data.omissions import OMISSIONS_NAME
from caffeflow.data.tally import Tally, common_shape, ordered
from caffeflow.data.writer import BuildRun, Written
from caffeflow.errors import DataError
from caffeflow.proto.binary import write_mean

_log = logging.getLogger(__name__)


def finish(run: BuildRun, parts: Mapping[str, Written]) -> Manifest:
    """Completes the dataset and returns its manifest.

    Every file is made in `.unfinished/` and then renamed, so that a kill leaves no half or stray one.

    Raises:
        DataError: A split has no record at all.
    """
    for split, part in parts.items():
        _check_rejects(split, part.tally)
    if run.plan.label_map is not None:
        _place(run, LABEL_MAP_NAME, run.plan.label_map.encode())
    elif run.plan.class_names:
        _place(run, LABELS_NAME, os.fsencode("".join(f"{name}\n" for name in run.plan.class_names)))
    run.rejects.commit()
    rejects = b"".join((run.work_dir / name).read_bytes() for name in (OMISSIONS_NAME, REJECTS_NAME))
    if rejects:
        _place(run, REJECTS_NAME, rejects)
    manifest = _manifest(run, parts, _write_mean(run, parts.get("train")))
    write_manifest(run.work_dir, manifest)
    (run.work_dir / MANIFEST_NAME).replace(run.out_dir / MANIFEST_NAME)
    unmark(run.work_dir)
    return manifest


def _check_rejects(split: str, tally: Tally) -> None:
    rejected = tally.rejected.total()
    reasons = ", ".join(f"{count} {reason}" for reason, count in tally.rejected.most_common())
    if tally.count == 0:
        raise DataError(f"none of the {tally.done} images of '{split}' can be used: {reasons}")
    if rejected > tally.count:
        _log.warning(
            "more than half of '%s' was left out: %s of %s (%s)", split, rejected, tally.done, reasons
        )


def _place(run: BuildRun, name: str, content: bytes) -> None:
    replace_file(run.out_dir / name, content, by=run.work_dir / f"{name}.new")


def _write_mean(run: BuildRun, train: Written | None) -> Mean | None:
    if train is None or train.mean is None:
        return None
    mean = train.mean.mean(train.tally.count)
    temporary = run.work_dir / MEAN_NAME
    write_mean(temporary, mean)
    temporary.replace(run.out_dir / MEAN_NAME)
    return Mean(path=MEAN_NAME, channels=channel_means(mean))


def _manifest(run: BuildRun, parts: Mapping[str, Written], mean: Mean | None) -> Manifest:
    shape: tuple[int | None, ...] = ()
    for part in parts.values():
        shape = common_shape(shape, part.tally.shape)
    channels, height, width = shape
    return Manifest(
        name=run.out_dir.resolve().name,
        source=run.plan.settings["source"],
        backend=run.settings.backend,
        encode=run.plan.encoding,
        channels=channels,
        height=height,
        width=width,
        classes=run.plan.classes,
        class_names=run.plan.class_names,
        splits={split: _split(run, split, part) for split, part in parts.items()},
        mean=mean,
        settings=run.plan.settings,
        task=run.plan.task,
        label_map=None if run.plan.label_map is None else LABEL_MAP_NAME,
    )


def _split(run: BuildRun, split: str, part: Written) -> Split:
    tally, plan = part.tally, run.plan
    has_boxes = plan.task == "detection"
    rejected = tally.rejected + Counter(plan.omitted_images.get(split, {}))
    rejected_boxes = tally.rejected_boxes + Counter(plan.omitted_boxes.get(split, {}))
    return Split(
        path=part.path,
        root=part.root,
        count=tally.count,
        rejected=ordered(rejected),
        unusual=ordered(tally.unusual),
        labels=ordered(tally.labels),
        digest=digest.label_of(tally.chain),
        boxes=tally.boxes if has_boxes else None,
        box_sides=(round(tally.sides[0], 6), round(tally.sides[1], 6)) if tally.sides else None,
        rejected_boxes=ordered(rejected_boxes) if has_boxes else None,
        name_size=part.name_size,
    )
