"""The run folder: where a training keeps its record, its log, its figures and copies of what it ran.

    runs/lenet-001/   solver.prototxt train_val.prototxt run.json caffe.log metrics.csv curves.png
                      snapshots/ (when the solver names no snapshot_prefix)  tensorboard/

The one rule to know: `run.json` says how the run stands (`running`, `stopped`, `finished`, `failed`), and
a run that is alive holds the lock `run.lock`; so a `running` one without the lock was killed.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self, TextIO

from caffeflow import __version__, system
from caffeflow.errors import DataError, UsageError
from caffeflow.files import write_text

_log = logging.getLogger(__name__)

RUNS: Final = Path("runs")
RECORD_NAME: Final = "run.json"
FORMAT: Final = 1

_NUMBERED: Final = re.compile(r"-(\d+)$")


class RunFolder:
    """One run's folder, locked against a second process while it is open.

    Args:
        path: The folder; made if it is not there.

    Raises:
        UsageError: Another process is at work in it.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = (path / "run.lock").open("w")
        except OSError as error:
            raise DataError(f"{path}: cannot make the run folder: {error.strerror}") from error
        if not _is_locked(self._lock, path / "run.lock"):
            self._lock.close()
            raise UsageError(f"{path}: another process is training in this run folder")
        self.path: Final = path
        self.record: dict[str, Any] = {}

    @classmethod
    def new(cls, name: str, out_dir: Path | None = None, *, root: Path = RUNS) -> RunFolder:
        """Makes the folder of a new run: `out_dir`, or the first free `<root>/<name>-NNN`.

        Raises:
            UsageError: `out_dir` holds a run already.
        """
        while out_dir is None:
            path = _next_folder(name, root)
            # another process may just have taken this number
            with suppress(FileExistsError), writing(path):
                path.mkdir(parents=True)
                return cls(path)
        if (out_dir / RECORD_NAME).exists():
            raise UsageError(
                f"--out {out_dir}: holds a run already; name another folder, or go on with it: --resume"
            )
        return cls(out_dir)

    @property
    def name(self) -> str:
        """What the run is called, without its number."""
        return _NUMBERED.sub("", self.path.resolve().name)

    def __enter__(self) -> Self:
        """Returns the folder."""
        return self

    def __exit__(self, *_: object) -> None:
        """Lets the folder go."""
        self.close()

    def close(self) -> None:
        """Lets the folder go."""
        (self.path / "run.lock").unlink(missing_ok=True)
        self._lock.close()

    def begin(self, record: Mapping[str, Any]) -> None:
        """Writes the record of a new run."""
        self.record = {
            "format": FORMAT,
            "state": "running",
            **record,
            "caffeflow": __version__,
            **system.describe_host(),
            "git": system.git_state(Path.cwd()),
            "started": _now(),
            "finished": None,
            "iterations": 0,
            "results": {},
        }
        self._write()

    def read(self) -> None:
        """Reads the record of a run that was stopped or killed."""
        self.record = read_record(self.path)

    def go_on(self) -> None:
        """Writes that the run goes on."""
        self.record.pop("error", None)
        self.record.setdefault("resumed", []).append(_now())
        self.update(state="running", finished=None)

    def update(self, **fields: Any) -> None:
        """Changes fields of the record."""
        self.record |= fields
        self._write()

    def end(self, state: str, *, iterations: int, **fields: Any) -> None:
        """Writes how the run ended."""
        self.update(state=state, finished=_now(), iterations=iterations, **fields)

    def keep(self, name: str, text: str) -> None:
        """Writes a text file into the folder."""
        write_text(self.path / name, text)

    def _write(self) -> None:
        write_text(self.path / RECORD_NAME, json.dumps(self.record, indent=2) + "\n")


def _is_locked(lock: TextIO, path: Path) -> bool:
    """Takes the lock if it is free; a file that its last owner has removed meanwhile is no lock."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(lock.fileno()), path.stat())
    except (BlockingIOError, FileNotFoundError):
        return False


def _next_folder(name: str, root: Path) -> Path:
    taken = [
        int(match[1])
        for path in root.glob(f"{name}-*")
        if (match := _NUMBERED.search(path.name)) and path.name == f"{name}-{match[1]}"
    ]
    return root / f"{name}-{max(taken, default=0) + 1:03d}"


def read_record(folder: Path) -> dict[str, Any]:
    """Returns a run's `run.json`.

    Raises:
        DataError: There is none, or it cannot be understood.
    """
    path = folder / RECORD_NAME
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; expected a run folder") from error
    except ValueError as error:
        raise DataError(f"{path}: is not JSON ({error})") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise DataError(f"{path}: has another format than {FORMAT}, which this caffeflow reads")
    return record


def runs_of(solver: Path | None, *, root: Path = RUNS) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yields the runs of a solver, or of all, with their records, the newest first."""
    found = []
    for path in root.glob(f"*/{RECORD_NAME}"):
        try:
            record = read_record(path.parent)
        except DataError as error:
            _log.warning("%s; passed over", error)
            continue
        if solver is None or record.get("solver_path") == str(solver.resolve()):
            match = _NUMBERED.search(path.parent.name)
            found.append((str(record.get("started")), int(match[1]) if match else 0, path.parent, record))
    for _, _, folder, record in sorted(found, key=lambda run: run[:2], reverse=True):
        yield folder, record


class MetricsTable:
    """`metrics.csv`: a row for each displayed iteration and each test; cells without a value stay empty.

    Args:
        path: The file.
        columns: Names of the outputs, behind iteration, seconds, lr and loss.
        resume_at: Rows from this iteration on belong to a part of the run that is done again; dropped.
    """

    FIXED: Final = ("iteration", "seconds", "lr", "loss")

    def __init__(self, path: Path, columns: Sequence[str], *, resume_at: int | None = None) -> None:
        self.columns: Final = tuple(columns)
        header = [*self.FIXED, *columns]
        kept = _rows_before(path, resume_at) if resume_at is not None and path.exists() else []
        text = io.StringIO()
        writer = csv.DictWriter(text, header, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
        write_text(path, text.getvalue())
        self.seconds_before: Final = max((float(row["seconds"] or 0) for row in kept), default=0.0)
        self._path: Final = path
        self._out = path.open("a", encoding="utf-8", newline="")
        self._writer = csv.DictWriter(self._out, header, lineterminator="\n")

    def add(self, values: Mapping[str, float]) -> None:
        """Writes a row.

        Raises:
            DataError: The disk is full.
        """
        with writing(self._path):
            self._writer.writerow({name: f"{value:.9g}" for name, value in values.items()})
            self._out.flush()

    def close(self) -> None:
        """Closes the file."""
        self._out.close()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns what the system says of a file that is written bit by bit into an error of ours."""
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise DataError(f"{path}: cannot write: {error.strerror}") from error


def _rows_before(path: Path, iteration: int) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as lines:
        rows = [row for row in csv.DictReader(lines) if None not in row.values()]
    return [row for row in rows if row["iteration"].isdecimal() and int(row["iteration"]) < iteration]


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
