"""Writes one split: records to the sink, sums to the mean, counts to the tally, all in step with the journal.

The rule: a journal line is written after everything it tells of is on the disk, and never before.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caffeflow.data.convert import Converted, Converter, Rejected
from caffeflow.data.jobs import read_jobs
from caffeflow.data.journal import CountedText, Entry, Journal
from caffeflow.data.mean import MeanSum
from caffeflow.data.omissions import reject_line
from caffeflow.data.pipeline import ordered_map, window_for
from caffeflow.data.plan import Plan, jobs_path
from caffeflow.data.sample import Job
from caffeflow.data.settings import BuildSettings
from caffeflow.data.sink import Sink, SinkStart
from caffeflow.data.sinks import SINKS
from caffeflow.data.tally import Tally
from caffeflow.errors import DataError, StoppedError
from caffeflow.system import usable_cores

COMMIT_RECORDS: Final = 1000  # as convert_imageset
COMMIT_BYTES: Final = 64 << 20  # LMDB holds a transaction in memory; large records commit earlier


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a split is: `done` of `total` jobs, of which `rejected` were left out."""

    split: str
    done: int
    total: int
    rejected: int


@dataclass(frozen=True, kw_only=True)
class BuildRun:
    """What the splits of one build share."""

    out_dir: Path
    work_dir: Path
    plan: Plan
    settings: BuildSettings
    journal: Journal
    rejects: CountedText
    on_progress: Callable[[Progress], None]
    should_stop: Callable[[], bool]


@dataclass(frozen=True, kw_only=True)
class Written:
    """A split that is wholly written; `path`, `root` and `name_size` as in the manifest."""

    path: str
    root: str | None
    name_size: str | None
    tally: Tally
    mean: MeanSum | None


def write_split(run: BuildRun, split: str, entry: Entry | None) -> Written:
    """Writes the jobs of a split that its newest journal entry does not have.

    Raises:
        DataError: A reject where `strict` is set.
        StoppedError: After a commit, since `should_stop` said so.
        OSError: The disk is full, or another reason of the system's.
    """
    tally = Tally.from_json(entry.tally) if entry else Tally()
    total = run.plan.counts[split]
    kind = "annotated" if run.plan.task == "detection" else run.settings.backend
    sink = SINKS[kind](
        SinkStart(
            out_dir=run.out_dir,
            split=split,
            done=tally.done,
            state=entry.sink if entry else {},
            expected_bytes=total * run.plan.record_bytes,
        )
    )
    mean = _mean_so_far(run, split, entry)
    with closing(sink):
        writer = SplitWriter(run, split, sink, tally, mean)
        if tally.done < total:
            _write_rest(run, writer, total)
    return Written(path=sink.path, root=sink.root, name_size=sink.name_size, tally=tally, mean=writer.mean)


class SplitWriter:
    """One split on its way to the disk; `mean` is None where none is wanted, or sizes differ."""

    def __init__(self, run: BuildRun, split: str, sink: Sink, tally: Tally, mean: MeanSum | None) -> None:
        self.split = split
        self.sink = sink
        self.tally = tally
        self.mean = mean
        self._run = run
        self._pending_records = 0
        self._pending_bytes = 0

    def add(self, outcome: Converted | Rejected) -> None:
        """Writes the next record, or notes the next reject."""
        if isinstance(outcome, Rejected):
            self._reject(outcome)
            return
        self._note_faults(outcome)
        self.sink.add(outcome)
        self.tally.add(outcome)
        self._add_to_mean(outcome)
        self._pending_records += 1
        self._pending_bytes += len(outcome.value)
        if self._pending_records >= COMMIT_RECORDS or self._pending_bytes >= COMMIT_BYTES:
            self.commit()

    def commit(self) -> None:
        """Makes everything so far durable, and says so in the journal."""
        entry = Entry(
            split=self.split,
            sink=self.sink.commit(),
            rejects=self._run.rejects.commit(),
            sums=self._save_sums(),
            tally=self.tally.to_json(),
        )
        self._run.journal.write(entry)
        self._delete_sums_except(entry.sums)
        self._pending_records = self._pending_bytes = 0

    def _reject(self, rejected: Rejected) -> None:
        if self._run.settings.strict:
            raise DataError(f"{self.split}: {rejected.message} (without --strict it is counted and left out)")
        self.tally.reject(rejected)
        self._run.rejects.add(reject_line(self.split, rejected.name, rejected.reason))

    def _note_faults(self, record: Converted) -> None:
        """Notes what is wrong with boxes."""
        for fault in record.boxes.faults if record.boxes is not None else ():
            if self._run.settings.strict:
                raise DataError(
                    f"{self.split}: image '{record.name}': box of {fault.detail}: {fault.reason} "
                    "(without --strict such are counted and listed)"
                )
            reason = f"box left out: {fault.reason}" if fault.is_dropped else f"box kept: {fault.reason}"
            self._run.rejects.add(reject_line(self.split, record.name, reason, fault.detail))

    def _add_to_mean(self, record: Converted) -> None:
        if self.mean is None:
            return
        if not self.tally.is_uniform:
            self.mean = None
        elif record.planes is not None:
            self.mean.add(record.planes)

    def _save_sums(self) -> str | None:
        if self.mean is None or self.tally.count == 0:
            return None
        path = self._run.work_dir / f"sums-{self.tally.count}.npy"
        self.mean.save(path)
        return path.name

    def _delete_sums_except(self, current: str | None) -> None:
        if self.split == "train":
            for path in self._run.work_dir.glob("sums-*.npy"):
                if path.name != current:
                    path.unlink()


def _write_rest(run: BuildRun, writer: SplitWriter, total: int) -> None:
    tally = writer.tally
    converter = Converter(
        run.settings, run.plan.encoding, writer.sink.pack, with_planes=writer.mean is not None
    )
    jobs = enumerate(read_jobs(jobs_path(run.work_dir, writer.split), start=tally.done), start=tally.done)
    workers = run.settings.workers or usable_cores()
    item_bytes = run.plan.picture_bytes * (1 if run.plan.encoding == "raw" else 2)  # the file, or room for it

    def convert(item: tuple[int, Job]) -> Converted | Rejected:
        return converter(*item)

    window = window_for(item_bytes=item_bytes, workers=workers)
    with closing(ordered_map(convert, jobs, workers=workers, window=window)) as chunks:
        for outcomes in chunks:
            for outcome in outcomes:
                writer.add(outcome)
            converter.with_planes = writer.mean is not None
            rejected = tally.rejected.total()
            run.on_progress(Progress(split=writer.split, done=tally.done, total=total, rejected=rejected))
            if run.should_stop() and tally.done < total:
                writer.commit()
                raise StoppedError(
                    f"{run.out_dir}: stopped after {tally.done} of {total} images of '{writer.split}'; "
                    "go on with the same command and --resume"
                )
    writer.commit()


def _mean_so_far(run: BuildRun, split: str, entry: Entry | None) -> MeanSum | None:
    """Returns the sums to go on with; None where the split has no mean."""
    if split != "train":
        return None
    if entry is None or entry.tally["count"] == 0:
        return MeanSum()
    return MeanSum.load(run.work_dir / entry.sums) if entry.sums is not None else None
