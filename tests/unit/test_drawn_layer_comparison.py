"""What the comparison of drawn layers takes for agreement: a value that is no number agrees with such alone."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest

from caffeflow.proto.caffe_pb2 import LayerParameter
from tests.support.drawn_layers.compare import compare
from tests.support.drawn_layers.configuration import Bottom, Configuration
from tests.support.solved import furthest


def logarithm(value: float) -> Configuration:
    """A Log of one value."""
    return Configuration(
        layer=LayerParameter(type="Log"),
        bottoms=(Bottom(shape=(2, 3), values=lambda _, shape: np.full(shape, value), gradient=False),),
        backward=False,
    )


@pytest.mark.parametrize(
    ("value", "theirs", "worst"), [(-1, nan, 0), (-1, 0, inf), (0, -inf, 0), (1, nan, inf), (1, 0, 0)]
)
def test_what_is_no_number_agrees_with_such_alone(value: float, theirs: float, worst: float) -> None:
    answer = {"top_0": np.full((2, 3), theirs, np.float32)}
    assert compare(logarithm(value), answer).worst == worst


def test_trainings_that_end_in_no_numbers_are_never_close() -> None:
    with pytest.raises(AssertionError):
        furthest([np.ones(2), np.full(2, nan)], [np.ones(2), np.ones(2)])
