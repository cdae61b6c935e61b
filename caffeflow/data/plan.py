"""The plan of a build: everything decided before the first image is written, kept on disk to resume by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from caffeflow.data.forecast import Forecast
from caffeflow.data.jobs import arrange, write_jobs
from caffeflow.data.sample import SPLITS, Job, Listing
from caffeflow.data.settings import BuildSettings, Encoding
from caffeflow.errors import DataError
from caffeflow.files import write_text

_PLAN_NAME: Final = "plan.json"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a build will do.

    Attributes:
        settings: `Plan.recorded`: what decides the dataset, by which a build is known again.
        encoding: What `auto` came out as.
        classes: Number of them.
        class_names: Empty if unknown.
        counts: Jobs of each split.
        record_bytes: Forecast of one record on the disk.
        picture_bytes: Forecast of one picture in memory.
    """

    settings: Mapping[str, Any]
    encoding: Encoding
    classes: int
    class_names: tuple[str, ...]
    counts: Mapping[str, int]
    record_bytes: int
    picture_bytes: int


def recorded(settings: BuildSettings, *, source: str, origin: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings as plan and manifest record them, the source's own among them."""
    return {"source": source, **json.loads(json.dumps(dict(origin))), **settings.lasting()}


def arrange_listing(listing: Listing, settings: BuildSettings) -> dict[str, list[Job]]:
    """Returns the jobs of each split in the order of writing: train shuffled, val as it is.

    Raises:
        DataError: There are none, or a label has no class.
    """
    arranged: dict[str, list[Job]] = {}
    for split in SPLITS:
        jobs = listing.splits.get(split, ())
        seed = settings.seed if settings.shuffle and split == "train" else None
        if jobs:
            arranged[split] = arrange(jobs, limit=settings.limit, shuffle_seed=seed)
    if not arranged:
        raise DataError("the source lists no image; check its folder or list")
    names = listing.class_names
    for job in (job for jobs in arranged.values() for job in jobs if names and job.label >= len(names)):
        raise DataError(
            f"image '{job.name}': label is {job.label}, but there are {len(names)} classes, from 0 on"
        )
    return arranged


def write_plan(
    work_dir: Path,
    arranged: Mapping[str, list[Job]],
    *,
    expected: Forecast,
    settings: Mapping[str, Any],
    class_names: tuple[str, ...],
) -> Plan:
    """Writes the job lists and then the plan, which stands only if they do."""
    for split, jobs in arranged.items():
        write_jobs(jobs_path(work_dir, split), jobs)
    highest = max(job.label for jobs in arranged.values() for job in jobs)
    plan = Plan(
        settings=settings,
        encoding=expected.encoding,
        classes=len(class_names) or highest + 1,
        class_names=class_names,
        counts={split: len(jobs) for split, jobs in arranged.items()},
        record_bytes=expected.needed_bytes // expected.images,
        picture_bytes=expected.picture_bytes,
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
    return "x".join(map(str, value)) if isinstance(value, list) else str(value)
