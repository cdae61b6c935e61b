"""Builds a dataset: the one pipeline from a source's listing to a finished folder.

The order of things is what makes it safe. The plan and the job lists are written first, then records
and journal in step, then mean, labels and rejects, and `dataset.json` last. Whatever stops a build,
`--resume` goes on from the last journal line and ends in the same bytes as an unbroken build.
(The file `data.mdb` itself may differ: LMDB places pages by its commits. Its records do not.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from caffeflow import images
from caffeflow.data import folder
from caffeflow.data.finish import finish
from caffeflow.data.forecast import Forecast, check_room, forecast, gigabytes
from caffeflow.data.journal import CountedText, Journal, read_journal
from caffeflow.data.manifest import UNFINISHED_NAME, Manifest, read_manifest
from caffeflow.data.plan import Plan, arrange_listing, difference, everything, find_plan, recorded, write_plan
from caffeflow.data.sample import Listing
from caffeflow.data.settings import BuildSettings
from caffeflow.data.writer import BuildRun, Progress, write_split
from caffeflow.errors import DataError
from caffeflow.system import usable_cores

__all__ = ["BuildSettings", "Forecast", "Manifest", "Progress", "build"]

_JOURNAL_NAME: Final = "journal.jsonl"


def build(
    listing: Listing | Callable[[], Listing],
    settings: BuildSettings,
    out_dir: Path,
    *,
    source: str,
    origin: Mapping[str, Any] | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    should_stop: Callable[[], bool] = lambda: False,
    on_forecast: Callable[[Forecast], None] = lambda _: None,
) -> Manifest:
    """Makes a dataset folder, or goes on with one, and returns its manifest.

    A finished dataset of the same source and settings is returned as it is, unless `force` is set.

    Args:
        listing: The jobs, or what lists them; that is not called where a build is resumed.
        settings: How to prepare.
        out_dir: The dataset folder.
        source: Name of the source.
        origin: The source's own settings, plain values, by which a dataset is known again.
        on_progress: Called from time to time.
        should_stop: Asked from time to time; True commits and stops.
        on_forecast: Called once, before anything is written; not for a resumed build.

    Raises:
        DataError: No images, all rejected, a folder in use or of another dataset, a full disk.
        StoppedError: `should_stop` said so; the build can be resumed.
    """
    images.use_one_thread()
    asked = recorded(settings, source=source, origin=origin or {})
    finished = find_finished(out_dir, asked, settings)
    if finished is not None and not (out_dir / UNFINISHED_NAME).exists():
        return finished
    folder.check_usable(out_dir)
    with folder.claim(out_dir) as work_dir:
        finished = find_finished(out_dir, asked, settings)
        if finished is not None:  # another process has just ended, or was killed as it was cleaning up
            folder.unmark(work_dir)
            return finished
        plan = _find_plan_to_resume(out_dir, asked, settings)
        with _left_clean(out_dir, work_dir):
            if plan is None:
                plan = _begin(listing, settings, out_dir, asked=asked, on_forecast=on_forecast)
            return _go_on(plan, settings, out_dir, on_progress=on_progress, should_stop=should_stop)


def find_finished(out_dir: Path, asked: Mapping[str, Any], settings: BuildSettings) -> Manifest | None:
    """Returns the manifest of the dataset that is there already, if it is the one asked for.

    Args:
        out_dir: The dataset folder.
        asked: The settings as recorded, see `plan.recorded`.
        settings: Of this build; `force` sees no dataset as finished.

    Raises:
        DataError: The dataset that is there is another.
    """
    if settings.force or not folder.is_finished(out_dir):
        return None
    manifest = read_manifest(out_dir)
    differs = difference(manifest.settings, asked)
    if differs:
        raise DataError(f"{out_dir}: holds another dataset ({differs}); --force replaces it")
    return manifest


def _find_plan_to_resume(out_dir: Path, asked: Mapping[str, Any], settings: BuildSettings) -> Plan | None:
    plan = None if settings.force else find_plan(out_dir / UNFINISHED_NAME)
    if plan is None:
        return None
    if not settings.resume:
        raise DataError(f"{out_dir}: holds an unfinished dataset; --resume goes on, --force begins anew")
    differs = difference(plan.settings, asked)
    if differs:
        raise DataError(
            f"{out_dir}: was begun otherwise ({differs}); resume as begun, or begin anew with --force"
        )
    return plan


def _begin(
    listing: Listing | Callable[[], Listing],
    settings: BuildSettings,
    out_dir: Path,
    *,
    asked: Mapping[str, Any],
    on_forecast: Callable[[Forecast], None],
) -> Plan:
    """Surveys the images, clears the folder, and writes the plan."""
    found = listing() if callable(listing) else listing
    arranged = arrange_listing(found, settings)
    expected = forecast(everything(arranged), settings, workers=settings.workers or usable_cores())
    check_room(expected, out_dir)
    on_forecast(expected)
    work_dir = out_dir / UNFINISHED_NAME
    folder.clear(out_dir, work_dir)
    return write_plan(work_dir, arranged, found, expected=expected, settings=asked)


def _go_on(
    plan: Plan,
    settings: BuildSettings,
    out_dir: Path,
    *,
    on_progress: Callable[[Progress], None],
    should_stop: Callable[[], bool],
) -> Manifest:
    """Writes what the journal does not have yet, and finishes."""
    work_dir = out_dir / UNFINISHED_NAME
    entries = read_journal(work_dir / _JOURNAL_NAME)
    kept = max((entry.rejects for entry in entries.values()), default=0)
    try:
        with (
            closing(Journal(work_dir / _JOURNAL_NAME)) as journal,
            closing(CountedText(work_dir / folder.REJECTS_NAME, length=kept)) as rejects,
        ):
            run = BuildRun(
                out_dir=out_dir, work_dir=work_dir, plan=plan, settings=settings, journal=journal,
                rejects=rejects, on_progress=on_progress, should_stop=should_stop,
            )  # fmt: skip
            parts = {split: write_split(run, split, entries.get(split)) for split in plan.counts}
            return finish(run, parts)
    except OSError as error:
        raise _cannot_write(error, plan, out_dir) from error


def _cannot_write(error: OSError, plan: Plan, out_dir: Path) -> DataError:
    entries = read_journal(out_dir / UNFINISHED_NAME / _JOURNAL_NAME)
    done = sum(entry.tally["done"] for entry in entries.values())
    left = sum(plan.counts.values()) - done
    needed, free = gigabytes(left * plan.record_bytes), gigabytes(folder.free_bytes(out_dir))
    return DataError(
        f"{error.filename or out_dir}: cannot be written: {error.strerror}; {left} images are left and need "
        f"about {needed}, {free} are free; make room, then go on with --resume"
    )


@contextmanager
def _left_clean(out_dir: Path, work_dir: Path) -> Iterator[None]:
    """Deletes the folder if the build fails without a record on disk; keeps it for `--resume` otherwise."""
    try:
        yield
    finally:
        if folder.is_finished(out_dir):
            if work_dir.exists():  # --force, and the source failed: the dataset that was there stays
                folder.unmark(work_dir)
        elif not any(entry.tally["count"] for entry in read_journal(work_dir / _JOURNAL_NAME).values()):
            folder.remove(out_dir, work_dir)
