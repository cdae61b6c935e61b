"""COCO's twelve numbers where they can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pycocotools")

from caffeflow.evaluate.detection_coco import NAMES, coco_figures

SMALL, MEDIUM, LARGE = (10, 10, 20, 20), (50, 10, 110, 70), (200, 100, 400, 300)


def truth_of(*rows: tuple) -> np.ndarray:
    """Rows of image, label, corners, difficult."""
    return np.array([(row[0], row[1], 0, *row[2], row[3]) for row in rows], np.float32).reshape(-1, 8)


def found_of(*rows: tuple) -> np.ndarray:
    """Rows of image, label, score, corners."""
    return np.array([(*row[:3], *row[3]) for row in rows], np.float32).reshape(-1, 7)


TRUTH = truth_of((0, 1, SMALL, 0), (0, 1, MEDIUM, 0), (1, 2, LARGE, 0))


def test_everything_found_is_one_everywhere() -> None:
    found = found_of((0, 1, 0.9, SMALL), (0, 1, 0.8, MEDIUM), (1, 2, 0.7, LARGE))
    figures = coco_figures(found, TRUTH, images=2, labels=[1, 2])
    assert tuple(figures) == NAMES
    assert figures["AR_1"] == pytest.approx((1 / 2 + 1) / 2)  # one of the first image's two
    assert [figures[name] for name in NAMES if name != "AR_1"] == pytest.approx([1] * 11)


def test_sizes_are_told_apart_and_nothing_to_find_is_none() -> None:
    found = found_of((0, 1, 0.9, SMALL))
    figures = coco_figures(found, TRUTH[:2], images=1, labels=[1])
    assert (figures["AP_small"], figures["AP_medium"], figures["AP_large"]) == (pytest.approx(1), 0, None)
    # Precision 1 at recalls up to 0.5: 51 of COCO's 101 points.
    assert figures["AP50"] == pytest.approx(51 / 101)


def test_overlaps_count_by_their_size() -> None:
    wide = (50, 10, 110, 90)  # 3600 of 4800: an overlap of 0.75
    figures = coco_figures(found_of((0, 1, 0.9, wide)), TRUTH[1:2], images=1, labels=[1])
    assert (figures["AP50"], figures["AP75"]) == (pytest.approx(1), pytest.approx(1))
    assert figures["AP"] == pytest.approx(0.6)  # 0.50, 0.55, … 0.75 of ten thresholds


def test_a_difficult_box_is_neither_to_be_found_nor_wrong_to_find() -> None:
    truth = truth_of((0, 1, SMALL, 0), (0, 1, LARGE, 1))
    figures = coco_figures(found_of((0, 1, 0.9, LARGE), (0, 1, 0.5, SMALL)), truth, images=1, labels=[1])
    assert figures["AP"] == pytest.approx(1)


def test_nothing_found_is_zero() -> None:
    figures = coco_figures(found_of(), TRUTH, images=2, labels=[1, 2])
    assert set(figures.values()) == {0}


def test_nothing_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    coco_figures(found_of((0, 1, 0.9, SMALL)), TRUTH, images=2, labels=[1, 2])
    assert capsys.readouterr().out == ""
