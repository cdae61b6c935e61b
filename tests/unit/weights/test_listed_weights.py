"""Lists of caffemodels: names with commas, in order; a missing one is told."""

from __future__ import annotations

import pytest

from caffeflow.errors import WeightsError
from caffeflow.weights.listed import split_files


def test_names_come_in_order() -> None:
    assert split_files(["a.caffemodel, b.caffemodel", "c.h5"]) == ["a.caffemodel", "b.caffemodel", "c.h5"]


@pytest.mark.parametrize("entry", ["a.caffemodel,,b.caffemodel", "a.caffemodel,", ""])
def test_a_missing_name_is_told(entry: str) -> None:
    with pytest.raises(WeightsError, match=f"weights '{entry}': a file's name is missing"):
        split_files([entry])
