"""`caffeflow log`: Caffe logs as tables and as curves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from caffeflow.errors import UsageError
from caffeflow.files import write_text
from caffeflow.report.curves import Curves, curves_of_run, read_metrics
from caffeflow.report.log import Run, join, read_log
from caffeflow.report.log_files import csv_files
from caffeflow.report.plot import draw_curves, picture_format

_RUN_FILES: Final = ("caffe.log", "metrics.csv")


def read_trainings(path: Path) -> list[Run]:
    """Returns the trainings in a log; a run and those that resumed it count as one."""
    return join(read_log(path))


def write_tables(paths: Sequence[Path], *, out_dir: Path | None, force: bool) -> list[Path]:
    """Writes the CSV files of logs, named as parse_log.py names them, and returns their paths.

    Args:
        paths: The logs.
        out_dir: Where to write; beside each log if None.
        force: Replace files that are there.

    Raises:
        UsageError: A file is there already, or two logs would write the same one.
        DataError: A log cannot be read, or a file not written.
    """
    files: dict[Path, str] = {}
    for path in paths:
        folder = out_dir or path.parent
        for name, text in csv_files(read_trainings(path), path.name).items():
            if folder / name in files:
                raise UsageError(f"two logs are called '{path.name}'; parse them into different folders")
            files[folder / name] = text
    there = [path for path in files if path.exists()]
    if there and not force:
        raise UsageError(f"{there[0]}: is there already; replace it with --force, or choose another --out")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    return list(files)


def plot_logs(paths: Sequence[Path], out: Path, *, join_logs: bool, force: bool, title: str = "") -> None:
    """Draws the curves of logs or metrics tables into one picture.

    Args:
        paths: Logs, or `metrics.csv` files of run folders; a colour each.
        out: The picture.
        join_logs: The logs are parts of one training, in this order.
        force: Replace a picture that is there.
        title: What stands above the picture.
    """
    picture_format(out)
    if out.exists() and not force:
        raise UsageError(f"{out}: is there already; replace it with --force, or choose another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    draw_curves(_joined(paths) if join_logs else _apart(paths), out, title=title)


def _joined(paths: Sequence[Path]) -> list[Curves]:
    runs = [run for path in paths for run in read_log(path)]
    trainings = join(runs)
    return [curves_of_run(run, label=run.net or "training") for run in trainings]


def _apart(paths: Sequence[Path]) -> list[Curves]:
    # In run folders all files are called alike; there the folder's name tells them apart.
    labels = [path.resolve().parent.name if path.name in _RUN_FILES else path.name for path in paths]
    if len(set(labels)) < len(labels):
        labels = [f"{path.resolve().parent.name}/{path.name}" for path in paths]
    curves = []
    for path, label in zip(paths, labels, strict=True):
        if path.suffix == ".csv":
            curves.append(read_metrics(path, label=label))
            continue
        trainings = read_trainings(path)
        for number, run in enumerate(trainings, start=1):
            curves.append(curves_of_run(run, label=label if len(trainings) == 1 else f"{label} #{number}"))
    return curves
