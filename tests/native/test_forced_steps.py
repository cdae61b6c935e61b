"""Same numbers: from every snapshot of the real Caffe, one iteration of ours on the same batch.

The loss must agree within 1e-5 (Caffe prints six digits, so up to 5e-6 of that is its printing), each
update within 1e-4 of its norm. Where max pooling or ReLU compare numbers that are equal up to rounding,
the two may choose differently; then the same step is done once more with Caffe's own inputs at those
layers, and must agree. How many these were is shown.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.native import NativeCaffe, Report
from tests.support.native_forced import ForcedRun, ForcedStep
from tests.support.native_nets import make_digits, make_textures, render
from tests.support.native_training import adapt_solver, train

pytestmark = [pytest.mark.native, pytest.mark.usefixtures("one_thread")]

LOSS_BOUND = 1e-5
UPDATE_BOUND = 1e-4
LARGEST_FLIP = 1e-2  # one window or unit of thousands moves an update by no more
MOST_FLIPPED = 0.25  # of the steps: rounding explains some flipped decisions, not most


def forced_steps(
    caffe: NativeCaffe, rendered: Path, folder: Path, *, count: int, bound: float | None = UPDATE_BOUND
) -> list[ForcedStep]:
    changes = {"display": 1, "average_loss": None, "snapshot": 1, "max_iter": count + 1}
    solver = adapt_solver(rendered / "solver.prototxt", folder / "solver.prototxt", **changes)
    steps = list(ForcedRun(caffe, train(caffe, solver), bound=bound).steps(count))
    assert len(steps) == count
    return steps


def check(steps: list[ForcedStep], name: str, report: Report) -> None:
    loss = max(step.loss for step in steps)
    update = max(step.worst_update for step in steps)
    flipped = [step for step in steps if step.without_help is not None]
    figure = f"{len(steps)} steps: loss within {loss:.1e}, updates within {update:.1e}"
    if flipped:
        worst = max(step.without_help or 0 for step in flipped)
        figure += f"; {len(flipped)} with a flipped decision ({worst:.1e} before it was Caffe's)"
    report(f"forced step: {name}", figure)
    assert loss <= LOSS_BOUND
    assert update <= UPDATE_BOUND
    assert len(flipped) <= MOST_FLIPPED * len(steps)
    assert all((step.without_help or 0) <= LARGEST_FLIP for step in flipped)


def test_lenet_on_digits(caffe: NativeCaffe, tmp_path: Path, report: Report) -> None:
    rendered = render("lenet", data=make_digits(tmp_path), out=tmp_path / "net")
    check(forced_steps(caffe, rendered, tmp_path / "run", count=100), "lenet", report)


def test_cifar10_quick_on_textures(caffe: NativeCaffe, tmp_path: Path, report: Report) -> None:
    textures = make_textures(tmp_path, side=32, per_class=150)
    rendered = render("cifar10-quick", data=textures, out=tmp_path / "net")
    check(forced_steps(caffe, rendered, tmp_path / "run", count=100), "cifar10-quick", report)


@pytest.mark.slow
def test_mobilenet_v2_losses_on_textures(caffe: NativeCaffe, tmp_path: Path, report: Report) -> None:
    """The loss only: rounding, seen through 53 BatchNorms, leaves no bound for the updates."""
    textures = make_textures(tmp_path, side=64, per_class=30)
    rendered = render(
        "mobilenet-v2", data=textures, out=tmp_path / "net", data__batch_size="8", net__input_size="64"
    )
    check(forced_steps(caffe, rendered, tmp_path / "run", count=20, bound=None), "mobilenet-v2", report)
