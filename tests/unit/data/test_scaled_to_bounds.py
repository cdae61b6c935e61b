"""`--min-dim` and `--max-dim`: sizes, factors and pixels as SSD's convert_annoset has them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffeflow.data.settings import BuildSettings
from caffeflow.data.transforms import scale_factor, transform
from tests.support.oracles import convert_annoset as oracle
from tests.support.records import random_planes

SIDES = st.integers(1, 3000)
BOUNDS = st.integers(0, 2000)


@given(height=SIDES, width=SIDES, min_dim=BOUNDS, max_dim=BOUNDS)
def test_the_factor_is_that_of_the_formula(height: int, width: int, min_dim: int, max_dim: int) -> None:
    expected = oracle.scale_factor(height, width, min_dim, max_dim)
    assert scale_factor(height, width, min_dim=min_dim, max_dim=max_dim) == float(expected)


@pytest.mark.parametrize(
    ("bounds", "size"),
    [
        ({"min_dim": 34}, (34, 46)),
        ({"min_dim": 17}, (17, 23)),
        ({"max_dim": 11}, (8, 11)),
        ({"max_dim": 23}, (17, 23)),
        ({"min_dim": 34, "max_dim": 29}, (21, 29)),
        ({"min_dim": 5, "max_dim": 99}, (17, 23)),
    ],
)
def test_pixels_are_those_of_scaling_by_a_factor(bounds: dict[str, int], size: tuple[int, int]) -> None:
    image = random_planes(1, (3, 17, 23))[0].transpose(1, 2, 0).copy()
    made = transform(image, BuildSettings(**bounds))
    assert made.shape == (*size, 3)
    factor = float(oracle.scale_factor(17, 23, bounds.get("min_dim", 0), bounds.get("max_dim", 0)))
    assert np.array_equal(made, image if factor == 1 else cv2.resize(image, None, fx=factor, fy=factor))


def test_a_file_is_made_anew_even_where_its_size_stays() -> None:
    assert BuildSettings(max_dim=99).is_resized
    assert not BuildSettings().is_resized
