from __future__ import annotations

import math
import re
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from caffeflow.errors import UsageError
from caffeflow.report.curves import Curves, curves_of_table
from caffeflow.report.plot import draw_curves


def training(label: str, *, points: int = 60, last_loss: float = 0.5) -> Curves:
    rows: list[dict[str, float]] = []
    for place in range(points):
        row = {"iteration": 100.0 * place, "seconds": 3.0 * place, "lr": 0.1 if place < 40 else 0.01}
        row["loss"] = 3 / (1 + place) if place < points - 1 else last_loss
        if place % 10 == 0:
            row["test accuracy"] = place / points
        rows.append(row)
    return curves_of_table(rows, label=label)


def ink(picture: np.ndarray[Any, Any], rgb: tuple[int, int, int]) -> int:
    """Returns how many pixels have nearly this colour."""
    return int((np.abs(picture[:, :, ::-1].astype(int) - rgb).sum(axis=2) < 40).sum())


BLUE, RED = (0x1F, 0x6F, 0xB4), (0xD1, 0x49, 0x5B)


def test_picture_has_a_panel_for_loss_scores_and_rate(tmp_path: Path) -> None:
    out = tmp_path / "curves.png"
    draw_curves(training("lenet-1"), out)
    picture = cv2.imread(str(out))
    assert picture is not None
    height, width, _ = picture.shape
    assert width > 1000
    assert height > 900
    thirds = [
        picture[: height * 2 // 5],
        picture[height * 2 // 5 : height * 4 // 5],
        picture[height * 4 // 5 :],
    ]
    assert all(ink(part, BLUE) > 200 for part in thirds)


def test_iterations_are_marked_by_whole_numbers(tmp_path: Path) -> None:
    rows = [{"iteration": 5.0 * place, "loss": 1 / (1.5 + place)} for place in range(5)]
    out = tmp_path / "curves.svg"
    draw_curves(curves_of_table(rows, label="short"), out)
    marks = [int(text) for text in texts_of(out) if text.isdigit()]
    assert {0, 20} <= set(marks)
    assert {later - earlier for earlier, later in pairwise(marks)} in ({2}, {5})


def test_two_trainings_have_a_colour_each(tmp_path: Path) -> None:
    out = tmp_path / "curves.png"
    draw_curves([training("one"), training("two", points=30)], out)
    picture = cv2.imread(str(out))
    assert picture is not None
    assert ink(picture, BLUE) > 500
    assert ink(picture, RED) > 500


def test_the_first_nan_is_marked(tmp_path: Path) -> None:
    out = tmp_path / "curves.svg"
    draw_curves(training("diverged", last_loss=math.nan), out)
    assert "nan or inf at 5,900" in out.read_text()


def test_the_title_and_the_last_score_can_be_read(tmp_path: Path) -> None:
    out = tmp_path / "curves.svg"
    draw_curves(training("lenet-1"), out, title="LeNet on digits")
    text = out.read_text()
    assert "LeNet on digits" in text
    assert "test accuracy: last 83.33%, best 83.33%" in text


@pytest.mark.parametrize("rows", [[], [{"iteration": 5, "loss": math.nan}], [{"iteration": 0, "lr": 0}]])
def test_trainings_with_nothing_to_draw_still_give_a_picture(tmp_path: Path, rows: list[Any]) -> None:
    draw_curves(curves_of_table(rows, label="empty"), tmp_path / "curves.png")
    assert cv2.imread(str(tmp_path / "curves.png")) is not None


def test_one_logged_iteration_is_a_point_in_the_panels_that_have_one(tmp_path: Path) -> None:
    row = {"iteration": 0.0, "loss": 1.14, "lr": 0.1, "test accuracy": math.nan, "test loss": math.nan}
    draw_curves(curves_of_table([row], label="short"), tmp_path / "curves.png")
    assert ink(cv2.imread(str(tmp_path / "curves.png")), BLUE) > 50
    draw_curves(curves_of_table([row], label="short"), tmp_path / "curves.svg")
    texts = texts_of(tmp_path / "curves.svg")
    assert texts.count("0") == 1
    assert "learning rate" in texts
    assert "accuracy" not in texts


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.png or \.svg"):
        draw_curves(training("x"), tmp_path / "curves.jpg")


def test_without_matplotlib_the_message_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # importing it fails
    with pytest.raises(UsageError, match=r"caffeflow\[plot\]"):
        draw_curves(training("x"), tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def detection(classes: int, label: str = "ssd-001") -> Curves:
    rows = [
        {"iteration": 100.0 * place, "loss": 5 / (1 + place), "test detection_eval": place / 10}
        | {f"test class{number}": place / (10 + number) for number in range(1, classes + 1)}
        for place in range(7)
    ]
    return curves_of_table(rows, label=label)


def texts_of(path: Path) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text())


def test_detections_have_a_panel_for_the_mean_and_one_for_classes(tmp_path: Path) -> None:
    out = tmp_path / "curves.svg"
    draw_curves(detection(3), out)
    texts = texts_of(out)
    assert {"mAP", "AP of each class"} <= set(texts)
    assert "test class3: last 46.15%, best 46.15%" in texts


def test_of_many_classes_the_lowest_are_drawn(tmp_path: Path) -> None:
    out = tmp_path / "curves.svg"
    draw_curves(detection(20), out)
    texts = texts_of(out)
    assert "AP, the 8 lowest of 20" in texts
    assert sorted(int(text.split(":")[0].split("class")[1]) for text in texts if "class" in text) == list(
        range(13, 21)
    )


def test_trainings_side_by_side_are_compared_by_the_mean(tmp_path: Path) -> None:
    out = tmp_path / "curves.svg"
    draw_curves([detection(3), detection(3, "ssd-002")], out)
    assert "mAP" in texts_of(out)
    assert not any("class" in text for text in texts_of(out))
