"""Scripts with `import caffe` give the same numbers with the real pycaffe and with ours."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.native import NativeCaffe, Report
from tests.support.pycaffe_nets import SCRIPTS, run_script, write_nets, write_python_net, write_solver

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


@pytest.mark.parametrize(
    "rule",
    [
        'type: "SGD" momentum: 0.9',
        'type: "Nesterov" momentum: 0.9',
        'type: "AdaGrad" delta: 0.01',
        'type: "RMSProp" rms_decay: 0.9 delta: 0.01',
        'type: "AdaDelta" momentum: 0.9 delta: 0.01',
        'type: "Adam" momentum: 0.9 momentum2: 0.99 delta: 0.01',
    ],
    ids=lambda rule: rule.split('"')[1],
)
def test_a_script_that_uses_solvers(
    rule: str, caffe: NativeCaffe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    folders = tmp_path / "theirs", tmp_path / "ours"
    for folder in folders:
        folder.mkdir()
        write_solver(folder, rule)
    theirs, ours = (folder / "out.npz" for folder in folders)
    caffe.run("python", SCRIPTS / "use_solver.py", "solver.prototxt", theirs, cwd=folders[0])
    monkeypatch.chdir(folders[1])
    run_script("use_solver.py", ["solver.prototxt", ours], monkeypatch)
    count, worst = compare(theirs, ours)
    assert count == 31
    report(f"pycaffe: a script that uses solvers, {rule}", f"{count} results, worst error {worst:.1e}")


@pytest.mark.filterwarnings("ignore:Net.file, weights, phase")
def test_a_script_that_uses_python_layers(
    caffe: NativeCaffe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    paths = write_python_net(tmp_path)
    theirs, ours = tmp_path / "theirs.npz", tmp_path / "ours.npz"
    caffe.run("python", SCRIPTS / "use_python_layers.py", *paths, theirs, cwd=tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(SCRIPTS)
    monkeypatch.delitem(sys.modules, "layers_of_users", raising=False)
    run_script("use_python_layers.py", [*paths, ours], monkeypatch)
    count, worst = compare(theirs, ours)
    assert count == 50
    report("pycaffe: a script that uses Python layers", f"{count} results, worst error {worst:.1e}")


def test_a_script_that_segments_pictures_of_any_size(
    caffe: NativeCaffe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: Report
) -> None:
    theirs, ours = tmp_path / "theirs.npz", tmp_path / "ours.npz"
    caffe.run("python", SCRIPTS / "segment.py", theirs, cwd=tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(SCRIPTS)
    monkeypatch.delitem(sys.modules, "pictures_of_users", raising=False)
    run_script("segment.py", [ours], monkeypatch)
    count, worst = compare(theirs, ours)
    assert count == 16
    report("pycaffe: a script that segments pictures", f"{count} results, worst error {worst:.1e}")
