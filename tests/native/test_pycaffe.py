"""Scripts with `import caffe` give the same numbers with the real pycaffe and with ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.native import NativeCaffe, Report
from tests.support.pycaffe_nets import SCRIPTS, run_script, write_nets

pytestmark = pytest.mark.native

BOUND = 1e-5


def compare(theirs: Path, ours: Path) -> tuple[int, float]:
    """Returns how many arrays two scripts kept, and the worst error relative to the largest entry."""
    expected, found = dict(np.load(theirs)), dict(np.load(ours))
    assert sorted(found) == sorted(expected)
    worst = 0.0
    for name, values in expected.items():
        assert found[name].shape == values.shape, name
        if values.dtype.kind not in "fiu":
            assert found[name].tolist() == values.tolist(), name
            continue
        largest = float(np.abs(values).max(initial=0)) or 1.0
        error = float(np.abs(found[name] - values).max(initial=0)) / largest
        assert error <= BOUND, f"{name}: {error:.2g}"
        worst = max(worst, error)
    return len(expected), worst


def test_a_script_that_uses_nets(
    caffe: NativeCaffe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    nets = write_nets(tmp_path)
    theirs, ours = tmp_path / "theirs.npz", tmp_path / "ours.npz"
    caffe.run("python", SCRIPTS / "use_net.py", *nets, theirs)
    run_script("use_net.py", [*nets, ours], monkeypatch)
    count, worst = compare(theirs, ours)
    assert count == 27
    report("pycaffe: a script that uses nets", f"{count} results, worst error {worst:.1e}")
