"""`Transformer`: the order of its steps, the way back, and its checks."""

from __future__ import annotations

import numpy as np
import pytest

from caffeflow.pycaffe.io import Transformer, resize_image

SHAPE = (2, 3, 5, 7)


def transformer(shape: tuple[int, ...] = SHAPE) -> Transformer:
    return Transformer({"data": shape})


def picture(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 1, shape).astype(np.float32)


def test_steps_come_in_order() -> None:
    made = transformer()
    made.set_input_scale("data", 0.5)
    made.set_mean("data", np.array([10.0, 20.0, 30.0]))
    made.set_raw_scale("data", 255)
    made.set_channel_swap("data", (2, 1, 0))
    made.set_transpose("data", (2, 0, 1))
    image = picture(5, 7, 3)
    there = made.preprocess("data", image)
    assert there.shape == SHAPE[1:]
    for channel, mean in enumerate((10, 20, 30)):
        expected = (image[:, :, 2 - channel] * np.float32(255) - mean) * 0.5
        np.testing.assert_allclose(there[channel], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(made.deprocess("data", there[np.newaxis]), image, atol=1e-6)


def test_given_picture_is_not_changed() -> None:
    made = transformer()
    made.set_raw_scale("data", 255)
    made.set_transpose("data", (2, 0, 1))
    image = picture(5, 7, 3)
    kept = image.copy()
    made.preprocess("data", image)
    np.testing.assert_array_equal(image, kept)


def test_other_sizes_are_resized_first() -> None:
    made = transformer()
    made.set_transpose("data", (2, 0, 1))
    image = picture(11, 13, 3)
    np.testing.assert_array_equal(
        made.preprocess("data", image), resize_image(image, (5, 7)).transpose(2, 0, 1)
    )


def test_shape_may_be_a_list() -> None:
    made = Transformer({"data": [2, 3, 5, 7]})
    image = picture(5, 7, 3)
    np.testing.assert_array_equal(made.preprocess("data", image), image)


def test_one_channel_goes_there_and_back() -> None:
    made = transformer((1, 1, 5, 7))
    made.set_transpose("data", (2, 0, 1))
    image = picture(5, 7, 1)
    there = made.preprocess("data", image)
    assert there.shape == (1, 5, 7)
    np.testing.assert_array_equal(made.deprocess("data", there[np.newaxis]), image)


def test_mean_image_of_another_size_is_resized() -> None:
    made = transformer()
    mean = picture(3, 8, 9) * 255
    made.set_mean("data", mean)
    np.testing.assert_array_equal(
        made.mean["data"], resize_image(mean.transpose(1, 2, 0), (5, 7)).transpose(2, 0, 1)
    )
    made.set_mean("data", np.full((3, 8, 9), 7.0))  # where Caffe divides by zero
    np.testing.assert_array_equal(made.mean["data"], np.full(SHAPE[1:], 7.0))


def test_flat_mean_image_fits_one_channel() -> None:
    made = transformer((1, 1, 5, 7))
    made.set_mean("data", np.ones((5, 7)))
    assert made.mean["data"].shape == (5, 7)
    made.set_mean("data", np.ones((8, 9)))
    assert made.mean["data"].shape == (1, 5, 7)


@pytest.mark.parametrize(
    ("setter", "value", "message"),
    [
        ("set_transpose", (1, 0), r"\(1, 0\) of input 'data' has 2 axes; expected 3"),
        ("set_channel_swap", (1, 0), r"\(1, 0\) of input 'data' has 2 channels; expected 3"),
        ("set_mean", np.ones(4), r"'data' has 4 values; expected 3"),
        ("set_mean", np.ones((1, 3, 5, 7)), r"shape \(1, 3, 5, 7\)"),
    ],
)
def test_settings_that_do_not_fit_are_refused(setter: str, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        getattr(transformer(), setter)("data", value)


@pytest.mark.parametrize("method", ["preprocess", "deprocess", "set_raw_scale", "set_mean", "set_transpose"])
def test_other_inputs_are_refused(method: str) -> None:
    with pytest.raises(ValueError, match=r"'label' is no input .* it has data"):
        getattr(transformer(), method)("label", np.ones(3))
