"""The confusion matrix as a table and as a picture."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.report.confusion import draw_confusion, write_csv


def counts(classes: int) -> np.ndarray:
    """Nearly all right; each tenth class is taken for the one before."""
    made = np.diag(np.full(classes, 20))
    for label in range(0, classes, 10):
        made[label, label - 1] += 5
    return made


def test_the_table_has_names_around_and_survives_commas(tmp_path: Path) -> None:
    names = ["cat, tame", 'dog "large"', "Bär"]
    write_csv(tmp_path / "a.csv", np.arange(9).reshape(3, 3), names)
    rows = list(csv.reader((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()))
    assert rows[0][1:] == names
    assert [row[0] for row in rows[1:]] == names
    assert rows[2][1:] == ["3", "4", "5"]


@pytest.mark.parametrize("classes", [2, 10, 26, 57, 111, 300, 1000])
def test_a_picture_of_any_number_of_classes_shows_the_diagonal(tmp_path: Path, classes: int) -> None:
    names = [f"kind ${label}" for label in range(classes)]
    draw_confusion(tmp_path / "a.png", counts(classes), names, title=f"{classes} classes")
    picture = cv2.imread(str(tmp_path / "a.png"))
    height, width = picture.shape[:2]
    assert 500 < width < 2500
    assert 500 < height < 2500
    blue, _, red = (picture[..., channel].astype(int) for channel in range(3))
    is_dark = (blue - red > 60) & (red < 60)
    rows, columns = np.nonzero(is_dark[:, : int(width * 0.8)])  # without the bar of colours
    # The darkest points lie along a falling diagonal: the further down, the further right.
    assert np.corrcoef(rows, columns)[0, 1] > 0.7


def test_a_class_without_records_is_gray(tmp_path: Path) -> None:
    made = counts(5)
    made[3] = 0
    draw_confusion(tmp_path / "a.png", made, list("abcde"), title="")
    picture = cv2.imread(str(tmp_path / "a.png"))
    assert (picture == 0xEE).all(axis=2).mean() > 0.05
