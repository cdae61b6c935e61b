from __future__ import annotations

import numpy as np
import pytest

from caffeflow.weights.importing.normalisation import Normalisation


def convolved(weight: np.ndarray, image: np.ndarray) -> np.ndarray:
    """A convolution of stride 1 with one row and column of zeros around the image, by loops."""
    outputs, channels, rows, columns = weight.shape
    padded = np.zeros((channels, image.shape[1] + 2, image.shape[2] + 2))
    padded[:, 1:-1, 1:-1] = image
    made = np.zeros((outputs, padded.shape[1] - rows + 1, padded.shape[2] - columns + 1))
    for output, y, x in np.ndindex(*made.shape):
        made[output, y, x] = (weight[output] * padded[:, y : y + rows, x : x + columns]).sum()
    return made


@pytest.mark.parametrize("scale", [(1.0,), (0.017,), (0.5, 2.0, 0.25)])
def test_pixels_less_the_mean_give_what_normalised_pictures_gave(scale: tuple[float, ...]) -> None:
    rng = np.random.default_rng(0)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    weight = rng.normal(size=(2, 3, 3, 2)).astype(np.float32)
    rgb = rng.integers(0, 256, (3, 5, 7)).astype(np.float64)
    column = (slice(None), None, None)
    there = convolved(weight, (rgb / 255 - np.array(mean)[column]) / np.array(std)[column])
    normalisation = Normalisation(mean=mean, std=std)
    assert normalisation.mean_values == (103.53, 116.28, 123.675)
    pixels = rgb[::-1] - np.array(normalisation.mean_values)[column]
    factors = np.array(scale if len(scale) == 3 else scale * 3)[column]
    here = convolved(normalisation.absorbed(weight, scale), pixels * factors)
    np.testing.assert_allclose(here, there, rtol=0, atol=1e-6 * np.abs(there).max())


def test_torchvisions_numbers_are_the_default() -> None:
    assert Normalisation() == Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
