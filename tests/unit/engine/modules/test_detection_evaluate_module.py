"""DetectionEvaluate in pixels: sizes from a file, line after line, and the ways of resizing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from caffeflow.engine.modules.registry import LayerModule
from caffeflow.errors import DataError
from tests.support.engine_nets import layer, net_of
from tests.support.oracles.detection_evaluate import evaluate

CLASSES = 4
SIZES = [(97, 53), (31, 89), (300, 500), (7, 5), (1, 1)]
RESIZES = {
    "none": ("", None),
    "warp": ("resize_param { resize_mode: WARP height: 30 width: 30 }", {"mode": "WARP"}),
    "small": (
        "resize_param { resize_mode: FIT_SMALL_SIZE height: 30 width: 20 }",
        {"mode": "FIT_SMALL_SIZE"},
    ),
    "small-scales": (
        "resize_param { resize_mode: FIT_SMALL_SIZE height: 30 width: 20 height_scale: 61 width_scale: 43 }",
        {"mode": "FIT_SMALL_SIZE", "scales": (61, 43)},
    ),
    "large-and-pad": (
        "resize_param { resize_mode: FIT_LARGE_SIZE_AND_PAD height: 30 width: 20 }",
        {"mode": "FIT_LARGE_SIZE_AND_PAD", "size": (30, 20)},
    ),
}


def evaluate_layer(settings: str = "") -> LayerModule:
    shapes = "shape { dim: 1 dim: 1 dim: 1 dim: 7 } shape { dim: 1 dim: 1 dim: 1 dim: 8 }"
    text = layer("in", "Input", "", "d g", f"input_param {{ {shapes} }}")
    param = f"detection_evaluate_param {{ num_classes: {CLASSES} {settings} }}"
    return net_of(text + layer("it", "DetectionEvaluate", "d g", "s", param), phase="TEST").layers[-1].module


def write_sizes() -> str:
    Path("sizes.txt").write_text("".join(f"image{k} {h} {w}\n" for k, (h, w) in enumerate(SIZES)))
    return 'name_size_file: "sizes.txt"'


def some_batch(rng: np.random.Generator, images: int, *, without: int | None = None):
    """Boxes, some with no area or outside the image, and detections near them; `without`: an image with none."""
    corners = rng.uniform(-0.2, 0.8, (23, 2))
    sides = rng.uniform(0, 0.5, (23, 2)) * (rng.random((23, 1)) < 0.8)
    head = np.stack((np.sort(rng.integers(0, images, 23)), rng.integers(1, CLASSES, 23), np.zeros(23)), 1)
    truth = np.concatenate((head, corners, corners + sides, rng.integers(0, 2, (23, 1))), 1)
    found = np.concatenate((truth, truth))[:, [0, 1, 2, 3, 4, 5, 6]]
    found[:, 2] = rng.permutation(46) / 46
    found[:, 3:] += rng.normal(0, 0.03, (46, 4))
    if without is not None:
        found = found[found[:, 0] != without]
    return found.astype(np.float32)[None, None], truth.astype(np.float32)[None, None]


@pytest.mark.parametrize(("settings", "resize"), RESIZES.values(), ids=RESIZES)
@pytest.mark.parametrize("difficult", [True, False])
def test_pixels_of_the_original_images(settings, resize, difficult):
    module = evaluate_layer(
        f"{write_sizes()} {settings} evaluate_difficult_gt: {str(difficult).lower()}"
    ).double()
    rng, state, hits = np.random.default_rng(5), [0], 0
    for without in (None, 1, None, 0):  # a batch in which an image has no detections shifts the lines
        found, truth = (array.astype(np.float64) for array in some_batch(rng, 3, without=without))
        top = module(torch.from_numpy(found), torch.from_numpy(truth)).numpy()
        expected = evaluate(
            found, truth, classes=CLASSES, difficult=difficult, sizes=SIZES, resize=resize, state=state
        )
        assert top.shape == expected.shape
        np.testing.assert_allclose(top, expected, rtol=0, atol=1e-12)
        hits += int((expected[..., 3] == 1).sum())
    assert hits > 10


def test_lines_advance_with_images_that_have_detections_and_wrap():
    module = evaluate_layer(write_sizes())
    truth = torch.tensor([[0.0, 1, 0, 0, 0, 1, 1, 0]]).reshape(1, 1, 1, 8)
    found = torch.tensor([[0.0, 1, 0.5, 0, 0, 1, 1], [2, 1, 0.5, 0, 0, 1, 1]]).reshape(1, 1, 2, 7)
    lines = []
    for detections in (found, found, found[:, :, :1]):
        module(detections, truth)
        lines.append(module._next_line)
    assert lines == [2, 4, 0]
    nothing = torch.tensor([[0.0, *[-1] * 6], [1, *[-1] * 6], [2, *[-1] * 6]]).reshape(1, 1, 3, 7)
    module(nothing, truth)
    assert module._next_line == 3, "a batch without any detection has a row for each of its images"


def test_border_pixels_count_only_in_pixels():
    """Two boxes side by side that share an edge: no overlap as fractions, one column of pixels otherwise."""
    truth = torch.tensor([[0.0, 1, 0, 0, 0, 0.5, 1, 0]]).reshape(1, 1, 1, 8)
    found = torch.tensor([[0.0, 1, 0.5, 0.5, 0, 1, 1]]).reshape(1, 1, 1, 7)
    Path("two.txt").write_text("a 2 2\n")
    in_pixels = evaluate_layer('name_size_file: "two.txt" overlap_threshold: 0.33')(found, truth)
    as_fractions = evaluate_layer("overlap_threshold: 0.01")(found, truth)
    assert in_pixels[0, 0, -1].tolist() == [0, 1, 0.5, 1, 0]
    assert as_fractions[0, 0, -1].tolist() == [0, 1, 0.5, 0, 1]


def test_the_backgrounds_label_among_boxes_or_detections_is_told():
    module = evaluate_layer()
    box, found = torch.zeros(1, 1, 1, 8), torch.zeros(1, 1, 1, 7)
    found[..., 1] = 1
    with pytest.raises(DataError, match=r"layer 'it': label 0, .* among the ground truth"):
        module(found, box)
    with pytest.raises(DataError, match=r"layer 'it': label 0, .* among the detections"):
        module(torch.zeros(1, 1, 1, 7), box)


def test_no_gradient_goes_back():
    found, truth = (
        torch.from_numpy(array).requires_grad_() for array in some_batch(np.random.default_rng(1), 2)
    )
    assert not evaluate_layer()(found, truth).requires_grad


def test_a_missing_file_of_sizes_is_told_when_the_net_is_built():
    with pytest.raises(DataError, match=r"layer 'it': nowhere\.txt: name_size_file"):
        evaluate_layer('name_size_file: "nowhere.txt"')
