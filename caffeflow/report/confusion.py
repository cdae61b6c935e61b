"""A confusion matrix as a table for other programs (CSV) and as a picture (PNG).

Rows are what records are, columns what they were taken for. The picture shows shares of each row, so that
classes of different sizes can be compared; numbers and names stand in it as long as they can be read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.files import write_text
from caffeflow.report.plot import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_NUMBERED: Final = 25  # classes up to which each cell shows its count
_MOST_NAMED: Final = 110  # up to which each row has its name; above, some rows have their number
_MOST_CELLS: Final = 250  # up to which cells can be seen; above, they are marked by dots
_LONGEST_NAME: Final = 24
_SIDES: Final = (4.5, 13.0)  # of the matrix in inches: for few classes, at most
_CELL: Final = 0.42  # inches, with numbers
_SMALL_CELL: Final = 0.13
_COLOURS: Final = "Blues"
_FAINT: Final = 0.35  # root of shares: a few per cent can be seen beside nearly all


def write_csv(path: Path, confusion: NDArray[np.int64], names: Sequence[str]) -> None:
    """Writes counts: a row for each class, a column for each class that it was taken for, names around."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["is \\ taken for", *names])
    for name, row in zip(names, confusion.tolist(), strict=True):
        writer.writerow([name, *row])
    write_text(path, text.getvalue())


def draw_confusion(path: Path, confusion: NDArray[np.int64], names: Sequence[str], *, title: str) -> None:
    """Draws the matrix into a PNG file.

    Args:
        path: The picture.
        confusion: (classes, classes), counts.
        names: Of the classes.
        title: What stands above.

    Raises:
        UsageError: matplotlib is not installed.
        DataError: The file cannot be written.
    """
    count = len(confusion)
    cell = _CELL if count <= _MOST_NUMBERED else _SMALL_CELL
    side = min(max(count * cell, _SIDES[0]), _SIDES[1])
    figure = new_figure(side + 2.6, side + 1.8)
    panel = figure.subplots()
    shares = _shares(confusion)
    image = panel.imshow(
        np.ma.masked_invalid(shares**_FAINT), cmap=_COLOURS, vmin=0, vmax=1, interpolation="nearest"
    )
    panel.set_facecolor("#eeeeee")  # rows of classes without records
    _label(panel, names)
    if count <= _MOST_NUMBERED:
        _write_counts(panel, confusion, shares)
    if count > _MOST_CELLS:
        _mark(panel, shares)
    panel.set_xlabel("taken for")
    panel.set_ylabel("is")
    panel.set_title(title, fontsize=11, fontweight="bold")
    bar = figure.colorbar(image, ax=panel, fraction=0.045, pad=0.02)
    marks = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0)
    bar.set_ticks([mark**_FAINT for mark in marks], labels=[f"{mark:.0%}" for mark in marks])
    bar.set_label("share of the class's records")
    save_figure(figure, path)


def _shares(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """Returns each row as shares of its sum; NaN for a class without records."""
    sums = confusion.sum(axis=1, keepdims=True)
    shares = np.full(confusion.shape, np.nan)
    np.divide(confusion, sums, out=shares, where=sums > 0)
    return shares


def _label(panel: Axes, names: Sequence[str]) -> None:
    count = len(names)
    if count > _MOST_NAMED:
        step = next(one for one in (20, 50, 100, 200, 500, 1000, count) if count / one <= 25)
        places = range(0, count, step)
        panel.set_xticks(places, labels=[str(place) for place in places], fontsize=8)
        panel.set_yticks(places, labels=[str(place) for place in places], fontsize=8)
        return
    shown = [_shortened(name) for name in names]
    size = 9.0 if count <= _MOST_NUMBERED else max(4.5, min(8.0, _SIDES[1] * 72 / count * 0.75))
    panel.set_xticks(range(count), labels=shown, fontsize=size, rotation=90 if _is_wide(shown) else 0)
    panel.set_yticks(range(count), labels=shown, fontsize=size)


def _shortened(name: str) -> str:
    plain = name.replace("$", r"\$")  # else a formula to matplotlib
    return plain if len(plain) <= _LONGEST_NAME else f"{plain[: _LONGEST_NAME - 1]}…"


def _is_wide(names: Sequence[str]) -> bool:
    """Tells whether names side by side would run into each other."""
    letters = 40 if len(names) < 10 else 75  # in the width of the matrix
    return len(names) * (max(map(len, names)) + 1) > letters


def _mark(panel: Axes, shares: NDArray[Any]) -> None:
    """Puts a dot on each cell that is not on the diagonal, the darker the more."""
    rows, columns = np.nonzero(np.nan_to_num(shares))
    is_wrong = rows != columns
    rows, columns = rows[is_wrong], columns[is_wrong]
    panel.scatter(
        columns, rows, s=5, c=shares[rows, columns] ** _FAINT, cmap=_COLOURS, vmin=0, vmax=1, linewidths=0
    )


def _write_counts(panel: Axes, confusion: NDArray[np.int64], shares: NDArray[Any]) -> None:
    for row, column in np.argwhere(confusion > 0).tolist():
        panel.text(
            column,
            row,
            str(confusion[row, column]),
            ha="center",
            va="center",
            fontsize=8,
            color="white" if shares[row, column] ** _FAINT > 0.6 else "#303030",
        )
