"""A net without decisions (TanH, average pooling, no BatchNorm) runs free beside Caffe and stays with it.

Only such a net can: rounding grows slowly in it. From the same caffemodel, 100 losses agree within 1e-5.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.native import NativeCaffe, Report
from tests.support.native_nets import SMOOTH_NET, make_digits
from tests.support.native_ours import test_ours, train_ours, write_initial_weights
from tests.support.native_training import Trajectory, train, write_solver

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("one_thread")]

BOUND = 1e-5  # relative; the printing of six digits takes up to half of it
FIELDS = (
    'base_lr: 0.01 momentum: 0.9 weight_decay: 0.0005 lr_policy: "inv" gamma: 0.0001 power: 0.75'
    " display: 1 snapshot: 50 max_iter: 100"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dataset, net, solver and initial weights."""
    folder = tmp_path_factory.mktemp("smooth")
    (folder / "net.prototxt").write_text(SMOOTH_NET.format(dataset=make_digits(folder)))
    solver = write_solver(folder / "solver.prototxt", net=folder / "net.prototxt", fields=FIELDS)
    write_initial_weights(solver, folder / "initial.caffemodel")
    return folder


@pytest.fixture(scope="module")
def theirs(caffe: NativeCaffe, folder: Path) -> Trajectory:
    """Caffe's 100 iterations from the initial weights."""
    return train(caffe, folder / "solver.prototxt", f"-weights={folder / 'initial.caffemodel'}")


def differences(ours: list[float], theirs: dict[int, float]) -> list[float]:
    return [abs(loss - theirs[n]) / theirs[n] for n, loss in enumerate(ours)]


def test_hundred_free_running_losses(folder: Path, theirs: Trajectory, report: Report) -> None:
    ours, _ = train_ours(folder / "solver.prototxt", iterations=100, weights=folder / "initial.caffemodel")
    found = differences(ours, theirs.losses)
    assert len(found) == 100
    report("smooth twin", f"100 free-running losses within {max(found):.1e}")
    assert max(found) <= BOUND
    assert ours[-1] < ours[0] / 2


def test_both_test_a_caffemodel_alike(caffe: NativeCaffe, folder: Path, theirs: Trajectory) -> None:
    net, weights = folder / "net.prototxt", theirs.weights(100)
    log = caffe.run("caffe", "test", f"-model={net}", f"-weights={weights}", "-iterations=7")
    ours = test_ours(net, weights, iterations=7)
    assert f"accuracy = {ours['accuracy']:.6g}" in log
    loss = float(log.rsplit("] loss = ")[-1].split()[0])
    assert ours["loss"] == pytest.approx(loss, rel=BOUND)
