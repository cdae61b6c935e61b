"""Which detections have found a box, beside a loop; overlaps and pixels."""

from __future__ import annotations

import numpy as np
import pytest

from caffeflow.evaluate.detection_boxes import overlaps, pixels
from caffeflow.evaluate.detection_match import MatchRule, match
from caffeflow.layers.detection_output import ImageResize
from tests.support.oracles import detection_scores as oracle


def boxes_of(rng: np.random.Generator, count: int, span: float) -> np.ndarray:
    low = rng.random((count, 2)) * 0.5
    return (np.concatenate([low, low + rng.random((count, 2)) * 0.5], axis=1) * span).astype(np.float32)


def scene(seed: int, span: float) -> tuple[np.ndarray, np.ndarray]:
    """Detections near the boxes of some images, and elsewhere; some images and classes have none."""
    rng = np.random.default_rng(seed)
    truth = np.zeros((17, 8), np.float32)
    truth[:, 0], truth[:, 1] = rng.integers(0, 5, 17), rng.integers(1, 4, 17)
    truth[:, 3:7], truth[:, 7] = boxes_of(rng, 17, span), rng.random(17) < 0.3
    near = truth[rng.integers(0, 17, 43)]
    detections = np.zeros((61, 7), np.float32)
    detections[:43, :2], detections[43:, 0] = near[:, :2], rng.integers(0, 7, 18)
    detections[43:, 1] = rng.integers(1, 5, 18)
    detections[:43, 3:] = near[:, 3:7] + rng.normal(0, 0.03 * span, (43, 4))
    detections[43:, 3:] = boxes_of(rng, 18, span)
    detections[:, 2] = rng.permutation(61) / 61
    return detections, truth


@pytest.mark.parametrize("counts_difficult", [True, False])
@pytest.mark.parametrize("in_pixels", [True, False])
@pytest.mark.parametrize("seed", range(7))
def test_rows_are_those_of_a_loop(seed: int, in_pixels: bool, counts_difficult: bool) -> None:
    detections, truth = scene(seed, 97.0 if in_pixels else 1.0)
    rule = MatchRule(num_classes=5, overlap=0.45, counts_difficult=counts_difficult, in_pixels=in_pixels)
    expected = oracle.judge(detections, truth, 5, 0.45, counts_difficult, in_pixels)
    found = match(detections, truth, rule)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array(expected, np.float32))
    assert 0 < found[4:, 3].sum() < len(found) - 4


def test_one_box_is_found_once_and_by_the_best_score() -> None:
    box = [0.1, 0.1, 0.5, 0.5]
    truth = np.array([[0, 1, 0, *box, 0]], np.float32)
    detections = np.array([[0, 1, 0.3, *box], [0, 1, 0.8, *box], [0, 2, 0.9, *box]], np.float32)
    rows = match(detections, truth, MatchRule(num_classes=3))
    assert rows.tolist() == [
        [-1, 1, 1, -1, -1], [-1, 2, 0, -1, -1],
        [0, 1, pytest.approx(0.8), 1, 0], [0, 1, pytest.approx(0.3), 0, 1], [0, 2, pytest.approx(0.9), 0, 1],
    ]  # fmt: skip


def test_nothing_detected_and_no_boxes() -> None:
    nothing = np.full((2, 7), -1, np.float32)
    nothing[:, 0] = [0, 1]
    rows = match(nothing, np.full((1, 8), -1, np.float32), MatchRule(num_classes=3))
    assert rows.tolist() == [[-1, 1, 0, -1, -1], [-1, 2, 0, -1, -1]]


def test_without_a_background_every_label_is_listed() -> None:
    rows = match(
        np.full((1, 7), -1, np.float32),
        np.zeros((1, 8), np.float32),
        MatchRule(num_classes=2, background=-1),
    )
    assert rows[:, 1].tolist() == [0, 1]
    assert rows[:, 2].tolist() == [1, 0]


@pytest.mark.parametrize("in_pixels", [True, False])
def test_overlaps_are_those_of_a_loop(in_pixels: bool) -> None:
    rng = np.random.default_rng(3)
    span = 13.0 if in_pixels else 1.0
    boxes, others = boxes_of(rng, 29, span), boxes_of(rng, 11, span)
    boxes[3] = boxes[3][[2, 3, 0, 1]]  # inside out
    others[5, 2:] = others[5, :2]  # no area
    expected = [[oracle.overlap(box, other, in_pixels) for other in others] for box in boxes]
    np.testing.assert_allclose(overlaps(boxes, others, in_pixels=in_pixels), expected, rtol=1e-6)


def test_pixels_are_clipped_to_the_image() -> None:
    boxes = np.array([[-0.1, 0.25, 0.5, 1.5]], np.float32)
    sizes = np.array([[80, 50]], np.float32)
    assert pixels(boxes, sizes, None).tolist() == [[0, 20, 25, 80]]


@pytest.mark.parametrize(("height", "width"), [(70, 50), (30, 90)])
def test_padding_is_taken_off_again(height: int, width: int) -> None:
    resize = ImageResize(mode="FIT_LARGE_SIZE_AND_PAD", height=31, width=37, scales=None)
    boxes = boxes_of(np.random.default_rng(2), 13, 1.0)
    expected = [oracle.padded_to_pixels(box.tolist(), height, width, 31, 37) for box in boxes]
    found = pixels(boxes, np.tile(np.array([[height, width]], np.float32), (13, 1)), resize)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_small_fitted_images_may_have_a_scale_of_their_own() -> None:
    resize = ImageResize(mode="FIT_SMALL_SIZE", height=3, width=3, scales=(100, 200))
    boxes = np.array([[0.1, 0.2, 0.3, 0.9]], np.float32)
    found = pixels(boxes, np.array([[80, 50]], np.float32), resize)
    assert found.tolist() == [pytest.approx([20, 20, 50, 80])]
