"""Coordinate maps and crops: the real pycaffe's, for some hundred nets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffeflow import pycaffe
from caffeflow.pycaffe import coord_map
from tests.support.coord_nets import COUNT, MAPS
from tests.support.native import NativeCaffe
from tests.support.native_pycaffe import ask_pycaffe

pytestmark = pytest.mark.native


def test_maps_and_crops_are_equal(caffe: NativeCaffe, tmp_path: Path) -> None:
    answers = ask_pycaffe(
        caffe, f"{MAPS}\nimport caffe.coord_map\nout.update(maps(caffe, caffe.coord_map))\n", tmp_path
    )
    names: dict[str, Any] = {}
    exec(MAPS, names)  # noqa: S102 - a text of the tests
    mine = names["maps"](pycaffe, coord_map)
    assert mine.keys() == answers.keys()
    assert len(mine) == COUNT
    assert {name.split()[1] for name in mine} >= {"cropped", "refused"}
    for name, answer in answers.items():
        np.testing.assert_array_equal(mine[name], answer, err_msg=name)
