"""What is painted of a window is what SSD's steps on whole pictures give; boxes go the same way."""

from __future__ import annotations

import numpy as np
import pytest

from caffeflow.engine.feed.annotated_augmentation import AnnotatedAugmentation, Expansion, Window
from caffeflow.engine.feed.draws import Draw, Draws
from caffeflow.engine.feed.ground_truth import GroundTruth
from caffeflow.errors import NetError
from tests.support.annotated_records import layer_with, some_rows
from tests.support.oracles import annotated_augmentation as oracle

BACKGROUND = (7.0, 11.0, 13.0)
SAMPLERS = """batch_sampler { max_sample: 1 max_trials: 1 }
    batch_sampler { sampler { min_scale: 0.1 max_scale: 1 min_aspect_ratio: 0.5 max_aspect_ratio: 2 }
                    max_trials: 5 }"""
DISTORT = """distort_param { brightness_prob: 0.5 brightness_delta: 32 hue_prob: 0.5 hue_delta: 18
    contrast_prob: 0.5 contrast_lower: 0.5 contrast_upper: 1.5 }"""


def augmentation(transform: str = "", annotation: str = "") -> AnnotatedAugmentation:
    return AnnotatedAugmentation.read(
        layer_with(f"transform_param {{ {transform} }} annotated_data_param {{ {annotation} }}")
    )


def picture(height: int = 43, width: int = 59) -> np.ndarray:
    return np.random.default_rng(4).integers(20, 256, (height, width, 3), np.uint8)


def truth(count: int = 9) -> GroundTruth:
    rows = some_rows(np.random.default_rng(2), count)
    return GroundTruth(np.array(rows, np.float32).reshape(-1, 7))


@pytest.mark.parametrize("emit", ["", "emit_constraint { }"])
def test_windows_show_what_whole_pictures_distorted_expanded_and_cropped_show(emit: str) -> None:
    expand = "expand_param { prob: 0.6 max_expand_ratio: 3 }"
    subject = augmentation(f"{DISTORT} {expand} {emit}", SAMPLERS)
    assert subject.distortion is not None
    assert subject.expansion is not None
    assert subject.samplers is not None
    draws, kinds = Draws(9, "data"), set()
    for number in range(150):
        image, boxes = picture(), truth()
        window, found = subject.frame(image.shape[:2], boxes, draws.of_record(number))
        shown = subject.picture(image, window, BACKGROUND, draws.of_record(number))

        expected = subject.distortion.picture(image, draws.of_record(number))
        again = draws.of_record(number)
        canvas = subject.expansion.find_canvas(image.shape[:2], again)
        if canvas is not None:
            expected = oracle.expand(
                expected, height=canvas.height, width=canvas.width, top=-canvas.top, left=-canvas.left,
                background=BACKGROUND,
            )  # fmt: skip
            frame = [canvas.left / 59, canvas.top / 43,
                     (canvas.left + canvas.width) / 59, (canvas.top + canvas.height) / 43]  # fmt: skip
            boxes = boxes.within(np.array(frame, np.float32), subject.emit)
        crop = subject.samplers.find_crop(boxes, again)
        assert crop is not None
        expected = oracle.crop(expected, list(crop))
        boxes = boxes.within(np.array(oracle.clip(list(crop)), np.float32), subject.emit)

        assert shown.shape == expected.shape
        assert np.array_equal(shown, expected)
        assert np.array_equal(found.rows, boxes.rows)
        kinds.add(
            (canvas is not None, crop.tolist() == [0, 0, 1, 1], (shown == 7).any(), len(boxes.rows) > 0)
        )
    assert len(kinds) >= 6


def test_a_window_may_show_nothing_but_background() -> None:
    window = Window(top=-30, left=70, height=5, width=11)
    shown = augmentation().picture(picture(), window, BACKGROUND, None)
    assert shown.shape == (5, 11, 3)
    assert (shown == BACKGROUND).all()
    gray = augmentation().picture(picture()[..., 0], window, (32.0,), None)
    assert gray.shape == (5, 11)
    assert (gray == 32).all()


def test_without_anything_the_picture_itself_is_shown() -> None:
    subject = augmentation()
    image = picture()
    window, found = subject.frame(image.shape[:2], truth(), Draws(1, "data").of_record(0))
    assert window == Window(top=0, left=0, height=43, width=59)
    assert np.array_equal(found.rows, truth().rows)  # boxes that reach out are not clipped yet
    assert np.shares_memory(subject.picture(image, window, BACKGROUND, None), image)


def test_canvases_are_as_large_and_pictures_as_placed_as_ssd_draws_them() -> None:
    expansion = Expansion(probability=0.4, largest=4.0)
    draws = Draws(3, "data")
    ratios, places = [], []
    for number in range(3000):
        canvas = expansion.find_canvas((97, 89), draws.of_record(number))
        if canvas is None:
            continue
        ratio = np.float32(draws.of_record(number).uniform(Draw.EXPANSION, 1, 4))
        assert canvas.size == (int(np.float32(97) * ratio), int(np.float32(89) * ratio))
        assert 0 <= -canvas.top <= canvas.height - 97
        assert 0 <= -canvas.left <= canvas.width - 89
        ratios.append(float(ratio))
        if canvas.height > 200:
            places.append(-canvas.top / (canvas.height - 97))
    assert 1100 < len(ratios) < 1300
    counts, _ = np.histogram(ratios, 6, (1, 4))
    assert counts.sum() == len(ratios)
    assert counts.min() > 150
    assert 0.45 < np.mean(places) < 0.55


def test_expanding_by_next_to_nothing_is_left_out() -> None:
    draws = Draws(1, "data")
    tiny = Expansion(probability=1.0, largest=1.009)
    assert {tiny.find_canvas((50, 50), draws.of_record(number)) for number in range(20)} == {None}
    never = Expansion(probability=0.0, largest=4.0)
    assert {never.find_canvas((50, 50), draws.of_record(number)) for number in range(20)} == {None}


def test_a_crop_of_less_than_a_pixel_is_a_pixel() -> None:
    sampler = "batch_sampler { sampler { min_scale: 0.05 max_scale: 0.05 } max_sample: 1 }"
    window, _ = augmentation("", sampler).frame((7, 9), truth(0), Draws(1, "data").of_record(0))
    assert window.size == (1, 1)


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        ("expand_param { }", "max_expand_ratio is 1"),
        ("expand_param { max_expand_ratio: 0.5 }", "max_expand_ratio is 0.5"),
        ('expand_param { max_expand_ratio: 2 } mean_file: "m"', "expand_param and mean_file exclude"),
    ],
)
def test_expansions_that_cannot_work_are_refused(transform: str, words: str) -> None:
    with pytest.raises(NetError, match=words) as caught:
        augmentation(transform)
    assert caught.value.layer == "data"
