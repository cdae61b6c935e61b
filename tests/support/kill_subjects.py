"""The commands that the kill sweep breaks off: real ones, on scikit-learn's handwritten digits.

Each is a process that is started in a folder of its own, in which the inputs lie under the same names, so
that everything written must come out byte for byte the same.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from tests.support.mixed_images import folder_content
from tests.support.native_pictures import write_digits
from tests.support.training_project import NET, SOLVER

Content = dict[str, object]

_REPEATS: Final = 6  # of the list, so that there are a dozen commits to be killed between
_HELD_OUT: Final = 5  # every fifth is for testing
_TRAINING: Final = "max_iter: 1200 test_iter: 20 test_interval: 150 snapshot: 50"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A command that can be killed and resumed.

    Attributes:
        name: What the sweep calls it.
        command: The words behind `caffeflow`; resumed with `--resume` at the end.
        out: What it makes, in the folder that it runs in.
        can_resume: Whether there is something that `--resume` takes; else the command starts again.
        is_done: Whether all was done when the command was killed, so that there is nothing to resume.
        has_kept: Whether something was safely on the disk when the command was killed.
        content: What is compared: a name for each thing that must be equal.
    """

    name: str
    command: tuple[str, ...]
    out: str
    can_resume: Callable[[Path], bool]
    is_done: Callable[[Path], bool]
    has_kept: Callable[[Path], bool]
    content: Callable[[Path], Content]


def write_inputs(folder: Path) -> None:
    """Writes what the commands read."""
    write_digits(folder / "images", side=8)
    lines = [
        f"{path.relative_to(folder / 'images')} {path.parent.name}"
        for path in sorted((folder / "images").glob("*/*.png"))
    ]
    assert len(lines) == 1797
    random.Random(2).shuffle(lines)
    train = [line for place, line in enumerate(lines) if place % _HELD_OUT]
    val = lines[::_HELD_OUT]
    for name, chosen in (("train", train * _REPEATS), ("val", val), ("list", train)):
        (folder / f"images/{name}.txt").write_text("\n".join(chosen) + "\n")
    models = folder / "models" / "tiny"
    models.mkdir(parents=True)
    (models / "train_val.prototxt").write_text(NET.replace("CLASSES", "10"))
    (models / "solver.prototxt").write_text(SOLVER + _TRAINING)
    _write_voc(folder / "voc", sorted((folder / "images").glob("*/*.png")))


def _write_voc(folder: Path, images: list[Path]) -> None:
    """Writes each image several times over in VOC's layout, with a box around all of it and one beyond it."""
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    names = []
    for place, path in enumerate(images * _REPEATS):
        names.append(f"{place:06}")
        (folder / "JPEGImages" / f"{names[-1]}.png").hardlink_to(path)
        boxes = "".join(
            f"<object><name>digit{path.parent.name}</name><bndbox><xmin>0</xmin><ymin>{top}</ymin><xmax>{right}"
            f"</xmax><ymax>8</ymax></bndbox></object>"
            for top, right in ((0, 8), (place % 9, 11))
        )
        size = "<size><width>8</width><height>8</height></size>"
        text = f"<annotation>{size}{boxes}</annotation>"
        (folder / "Annotations" / f"{names[-1]}.xml").write_text(text)
    for name, chosen in (("train", names[1:]), ("val", names[:: _HELD_OUT * _REPEATS])):
        (folder / "ImageSets/Main" / f"{name}.txt").write_text("\n".join(chosen) + "\n")


def _prepare(backend: str) -> Subject:
    lists = ("--train", "images/train.txt", "--val", "images/val.txt")
    form = ("--backend", backend, "--encode", "png", "--gray", "--resize", "80x70")
    return Subject(
        name=f"prepare-{backend}",
        command=("prepare", "list", *lists, *form, "--out", "dataset"),
        out="dataset",
        can_resume=lambda _: True,
        is_done=lambda _: False,  # prepare says itself that there is nothing left
        has_kept=_has_journal,
        content=folder_content,
    )


def _has_journal(dataset: Path) -> bool:
    journal = dataset / ".unfinished" / "journal.jsonl"
    return journal.is_file() and b"\n" in journal.read_bytes()


def _has_file(pattern: str, folder: Path) -> bool:
    return any(folder.glob(pattern))


def _is_finished(run: Path) -> bool:
    record = run / "run.json"
    return record.is_file() and json.loads(record.read_text())["state"] == "finished"


def _training_content(run: Path) -> Content:
    """Returns all snapshots as bytes, and the table of figures without its clock."""
    content: Content = {
        path.name: path.read_bytes()
        for kind in ("caffemodel", "solverstate")
        for path in sorted((run / "snapshots").glob(f"*.{kind}"))
    }
    with (run / "metrics.csv").open(newline="") as lines:
        content["metrics.csv"] = [
            {name: cell for name, cell in row.items() if name != "seconds"} for row in csv.DictReader(lines)
        ]
    return content


SUBJECTS: Final = {
    subject.name: subject
    for subject in (
        _prepare("lmdb"),
        _prepare("imagedata"),
        Subject(
            name="prepare-boxes",
            command=("prepare", "voc", "voc", "--encode", "png", "--resize", "80x70", "--out", "dataset"),
            out="dataset",
            can_resume=lambda _: True,
            is_done=lambda _: False,
            has_kept=_has_journal,
            content=folder_content,
        ),
        Subject(
            name="train",
            command=("train", "--solver", "models/tiny/solver.prototxt", "--out", "run"),
            out="run",
            can_resume=partial(_has_file, "run.json"),
            is_done=_is_finished,
            has_kept=partial(_has_file, "snapshots/*.solverstate"),
            content=_training_content,
        ),
    )
}
