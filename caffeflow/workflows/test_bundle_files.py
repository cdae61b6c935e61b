"""What a test of a bundle leaves behind: figures, the confusion matrix twice, and the worst mistakes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from caffeflow import images
from caffeflow.data.captions import Captioned, picture_of, sheet_of
from caffeflow.errors import DataError, UsageError
from caffeflow.evaluate.classification import Classification
from caffeflow.evaluate.mistakes import Mistake
from caffeflow.files import write_atomically, write_text
from caffeflow.report.confusion import draw_confusion, write_csv
from caffeflow.report.plot import new_figure
from caffeflow.report.tables import percent

RESULT_NAME: Final = "result.json"
CSV_NAME: Final = "confusion.csv"
PNG_NAME: Final = "confusion.png"
MISTAKES_NAME: Final = "mistakes.png"


def check_free(folder: Path, *, force: bool) -> None:
    """Looks, before the work, whether files can be written.

    Raises:
        UsageError: Files of an earlier test are there, or matplotlib is not installed.
    """
    new_figure(1, 1)
    there = [name for name in (RESULT_NAME, CSV_NAME, PNG_NAME, MISTAKES_NAME) if (folder / name).exists()]
    if there and not force:
        raise UsageError(
            f"{folder / there[0]} is there already; replace it with --force, or choose another --out"
        )


def write_files(
    folder: Path,
    result: Mapping[str, Any],
    counted: Classification,
    mistakes: Sequence[Mistake],
    *,
    names: Sequence[str],
    title: str,
) -> list[Path]:
    """Writes the files, and returns their paths; without a mistake there is no sheet of such.

    Raises:
        DataError: They cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MISTAKES_NAME).unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot make this folder: {error.strerror}") from error
    figures = [f"top-1 {percent(counted.top1)}"]
    figures += [f"top-5 {percent(counted.top5)}"] if counted.top5 is not None else []
    write_text(folder / RESULT_NAME, json.dumps(result, indent=2) + "\n")
    write_csv(folder / CSV_NAME, counted.confusion, names)
    draw_confusion(folder / PNG_NAME, counted.confusion, names, title=f"{title}: {', '.join(figures)}")
    made = [folder / RESULT_NAME, folder / CSV_NAME, folder / PNG_NAME]
    if mistakes:
        sheet = sheet_of([_tile(mistake, names) for mistake in mistakes])
        write_atomically(folder / MISTAKES_NAME, images.encode(sheet, "png"))
        made.append(folder / MISTAKES_NAME)
    return made


def _tile(mistake: Mistake, names: Sequence[str]) -> Captioned:
    return Captioned(
        picture_of(mistake.pixels),
        (
            f"is {names[mistake.label]}",
            f"taken for {names[mistake.taken_for]}",
            f"{mistake.score:.3f}, record {mistake.number}",
        ),
    )
