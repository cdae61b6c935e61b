"""Twenty drawn Python layers: both engines call the same class the same way."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from caffeflow import pycaffe
from caffeflow.engine.python_layers import allowed
from tests.support.drawn_layers.compare import ask
from tests.support.drawn_layers.configuration import drawn
from tests.support.drawn_layers.families import CONFIGURATIONS
from tests.support.drawn_layers.python_layers import python
from tests.support.drawn_layers.verdict import differences, row
from tests.support.fidelity import Keep
from tests.support.native import NativeCaffe
from tests.support.pycaffe_nets import SCRIPTS

pytestmark = [pytest.mark.native, pytest.mark.fidelity]


def test_drawn_python_layers_compute_what_caffe_computes(
    caffe: NativeCaffe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fidelity: Keep
) -> None:
    monkeypatch.setitem(sys.modules, "caffe", pycaffe)
    monkeypatch.syspath_prepend(SCRIPTS)
    configurations = [drawn("Python", number, python) for number in range(CONFIGURATIONS)]
    answers = ask(caffe, configurations, tmp_path / "drawn")
    with allowed():
        found = differences(caffe, configurations, answers, tmp_path)
    assert len(found) == 20
    fidelity("Layer types", "Python", row(found))
