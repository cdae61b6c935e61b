"""The plan of a build: everything decided before the first image is written, kept on disk to resume by."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from caffeflow.data.forecast import Forecast
from caffeflow.data.jobs import Arranged, arrange, write_jobs
from caffeflow.data.omissions import Counts, count_omissions, refuse_omissions, write_omissions
from caffeflow.data.sample import SPLITS, Job, Listing, Task
from caffeflow.data.settings import BuildSettings, Encoding
from caffeflow.errors import DataError, UsageError
from caffeflow.files import write_text
from caffeflow.proto.labelmap import BACKGROUND, format_label_map, names_in_order

_PLAN_NAME: Final = "plan.json"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a build will do.

    Attributes:
        settings: `Plan.recorded`: what decides the dataset, by which a build is known again.
        encoding: What `auto` came out as.
        classes: Number of them.
        class_names: Empty if unknown.
        label_map: The text of the label map, for detection.
        counts: Jobs of each split.
        record_bytes: Forecast of one record on the disk.
        picture_bytes: Forecast of one picture in memory.
        omitted_images: What the source left out of each split, by reason.
        omitted_boxes: The same, of images that stayed.
    """

    settings: Mapping[str, Any]
    encoding: Encoding
    classes: int
    class_names: tuple[str, ...]
    counts: Mapping[str, int]
    record_bytes: int
    picture_bytes: int
    label_map: str | None
    omitted_images: Counts
    omitted_boxes: Counts

    @property
    def task(self) -> Task:
        """What nets learn from the dataset."""
        return "classification" if self.label_map is None else "detection"


def recorded(settings: BuildSettings, *, source: str, origin: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings as plan and manifest record them, the source's own among them."""
    return {"source": source, **json.loads(json.dumps(dict(origin))), **settings.lasting()}


def arrange_listing(listing: Listing, settings: BuildSettings) -> dict[str, Sequence[Job]]:
    """Returns the jobs of each split in the order of writing: train shuffled with copies, val as it is.

    Raises:
        DataError: There are none, a label has no class, or with `strict` something was left out.
        UsageError: Boxes cannot be written as the settings want.
    """
    if listing.task == "detection" and settings.backend != "lmdb":
        raise UsageError(
            f"--backend {settings.backend} holds a label for each image, and these images have boxes; "
            "expected --backend lmdb"
        )
    if listing.task == "detection" and settings.augmentation is not None:
        raise UsageError(
            f"{settings.augmentation.options} does not move boxes along; detection nets have words of their"
            " own for this: distort_param, expand_param, batch_sampler (caffeflow render --augment ssd)"
        )
    if settings.strict:
        refuse_omissions(listing.omissions)
    arranged: dict[str, Sequence[Job]] = {}
    for split in SPLITS:
        jobs = listing.splits.get(split, ())
        seed = settings.seed if settings.shuffle and split == "train" else None
        if jobs:
            copies = (settings.augment_copies or 0) if split == "train" else 0
            arranged[split] = arrange(jobs, limit=settings.limit, shuffle_seed=seed, copies=copies)
    if not arranged:
        raise DataError("the source lists no image; check its folder or list")
    for jobs in arranged.values():
        _check_labels(jobs, listing)
    return arranged


def everything(arranged: Mapping[str, Sequence[Job]]) -> Sequence[Job]:
    """Returns the jobs of all splits, to be looked at: none is made before it is asked for."""
    return Arranged(tuple(arranged.values()))


def _check_labels(jobs: Sequence[Job], listing: Listing) -> None:
    names, label_map = listing.class_names, listing.label_map
    known = {} if label_map is None else label_map.names
    for job in jobs if names or known else ():
        if label_map is None and job.label >= len(names):
            raise DataError(
                f"image '{job.name}': label is {job.label}, but there are {len(names)} classes, from 0 on"
            )
        if (job.annotation is None) != (label_map is None):
            raise DataError(f"image '{job.name}': expected boxes and a label map, or neither of them")
        for box in job.annotation.boxes if job.annotation is not None else ():
            if box.label not in known or box.label == BACKGROUND:
                raise DataError(f"image '{job.name}': a box has label {box.label}, which the label map lacks")


def write_plan(
    work_dir: Path,
    arranged: Mapping[str, Sequence[Job]],
    listing: Listing,
    *,
    expected: Forecast,
    settings: Mapping[str, Any],
) -> Plan:
    """Writes the job lists and then the plan, which stands only if they do."""
    for split, jobs in arranged.items():
        write_jobs(jobs_path(work_dir, split), jobs)
    write_omissions(work_dir, listing.omissions)
    label_map = listing.label_map
    class_names = listing.class_names if label_map is None else tuple(names_in_order(label_map))
    plan = Plan(
        settings=settings,
        encoding=expected.encoding,
        classes=len(class_names) or max(job.label for jobs in arranged.values() for job in jobs) + 1,
        class_names=class_names,
        label_map=None if label_map is None else format_label_map(label_map),
        counts={split: len(jobs) for split, jobs in arranged.items()},
        record_bytes=expected.needed_bytes // expected.images,
        picture_bytes=expected.picture_bytes,
        omitted_images=count_omissions(listing.omissions, boxes=False),
        omitted_boxes=count_omissions(listing.omissions, boxes=True),
    )
    write_text(work_dir / _PLAN_NAME, json.dumps(asdict(plan), indent=1))
    return plan


def find_plan(work_dir: Path) -> Plan | None:
    """Returns the plan of an unfinished build, or None if it stopped before there was one."""
    try:
        fields = json.loads((work_dir / _PLAN_NAME).read_text(encoding="utf-8"))
        return Plan(**fields | {"class_names": tuple(fields["class_names"])})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        path = work_dir / _PLAN_NAME
        raise DataError(f"{path}: cannot be read ({error}); begin anew with --force") from error


def jobs_path(work_dir: Path, split: str) -> Path:
    """Returns the path of a split's job list."""
    return work_dir / f"{split}.jobs"


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Returns what differs between two recorded settings, in words; empty if they agree."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    return ", ".join(f"{name} was {_shown(before.get(name))}, now {_shown(now.get(name))}" for name in names)


def _shown(value: Any) -> str:
    if not isinstance(value, list):
        return str(value)
    is_size = all(isinstance(each, int) for each in value)
    return ("x" if is_size else " ").join(map(str, value))
