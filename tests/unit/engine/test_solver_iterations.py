"""One iteration after another against a solver of plain floats, on nets small enough to differentiate by hand.

The net is y = x * w with a Euclidean loss: d(loss)/dw = sum(x * (x * w - t)) / N.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from caffeflow.engine.solver import NonFiniteLossError, SmoothedLoss, Solver
from caffeflow.engine.training import FusedExecutor
from tests.support.engine_nets import SMALL, batch, layer, net_of, solver_of
from tests.support.oracles import solvers as oracle

LINE = layer(
    "data", "Input", "", "x t", "input_param { shape { dim: 3 dim: 1 } shape { dim: 3 dim: 1 } }"
) + layer(
    "ip",
    "InnerProduct",
    "x",
    "y",
    "inner_product_param { num_output: 1 bias_term: false"
    ' weight_filler { type: "constant" value: 0.5 } } param { lr_mult: 2 decay_mult: 0.5 }',
)
LOSS = layer("loss", "EuclideanLoss", "y t", "loss")


def made(text: str, solver: str) -> Solver:
    net = net_of(text)
    return Solver(solver_of(solver), net, FusedExecutor(net))


@pytest.mark.parametrize("kind", ["SGD", "Nesterov", "Adam"])
@pytest.mark.parametrize("iter_size", [1, 3])
def test_a_line_is_fitted_as_the_oracle_fits_it(kind: str, iter_size: int) -> None:
    rng = np.random.default_rng(1)
    batches = [(rng.normal(size=3), rng.normal(size=3)) for _ in range(5 * iter_size)]
    solver = made(
        LINE + LOSS,
        f'type: "{kind}" base_lr: 0.1 momentum: 0.9 weight_decay: 0.05 iter_size: {iter_size} '
        "clip_gradients: 1.5 max_iter: 5",
    )
    feed = iter(batches)

    def next_feeds() -> dict[str, tuple[torch.Tensor, ...]]:
        return {"data": tuple(torch.tensor(part, dtype=torch.float32).view(3, 1) for part in next(feed))}

    w, losses = 0.5, []
    gradients: list[list[list[list[float]]]] = []
    for number in range(5):
        parts = batches[number * iter_size : (number + 1) * iter_size]
        gradients.append([[[sum(x * (x * w - t)) / 3]] for x, t in parts])
        losses.append(sum(sum((x * w - t) ** 2) / 6 for x, t in parts) / iter_size)
        course = oracle.solve(
            kind, [[0.5]], gradients, [0.1] * len(gradients), params=[(2, 0.5)], momentum=0.9,
            weight_decay=0.05, clip=1.5, iter_size=iter_size,
        )  # fmt: skip
        w = course[-1][0][0]
        done = solver.step(next_feeds)
        assert done.number == number
        assert done.loss == pytest.approx(losses[-1], rel=1e-5)
        assert float(solver.flat.data[0]) == pytest.approx(w, rel=1e-5)
    assert solver.iteration == 5


def test_four_sub_batches_are_clipped_as_one_sum() -> None:
    text = LINE.replace("lr_mult: 2 decay_mult: 0.5", "lr_mult: 1") + LOSS
    solver = made(text, "base_lr: 1 clip_gradients: 10 iter_size: 4 max_iter: 1")
    solver.net.learned[0].tensors[0].data.fill_(3.0)
    ones = torch.ones(3, 1)
    done = solver.step(lambda: {"data": (ones, torch.zeros(3, 1))})  # gradient 3 each, 12 together
    assert done.clipped is not None
    assert done.clipped.norm == pytest.approx(12)
    assert float(solver.flat.data[0]) == pytest.approx(3.0 - 2.5)


def test_two_runs_with_one_seed_are_equal_to_the_byte() -> None:
    weights = []
    for _ in range(2):
        solver = made(SMALL, "base_lr: 0.05 momentum: 0.9 max_iter: 7")
        for number in range(7):
            feeds = batch(solver.net, seed=number)
            solver.step(lambda feeds=feeds: feeds)
        weights.append(solver.flat.data.clone())
    assert torch.equal(*weights)
    assert float(weights[0].abs().sum()) > 0


def test_reduce_stands_between_backward_and_clipping() -> None:
    net = net_of(LINE + LOSS)
    seen = []

    def reduce(gradient: torch.Tensor) -> None:
        seen.append(float(torch.linalg.vector_norm(gradient)))
        gradient.mul_(100)

    solver = Solver(solver_of("base_lr: 1 clip_gradients: 25"), net, FusedExecutor(net), reduce=reduce)
    done = solver.step(lambda: {"data": (torch.ones(3, 1), torch.zeros(3, 1))})
    assert seen == pytest.approx([0.5])
    assert done.clipped is not None
    assert done.clipped.norm == pytest.approx(50)


def test_a_loss_that_is_no_number_leaves_the_weights_alone() -> None:
    solver = made(LINE + LOSS, "base_lr: 1 momentum: 0.9")
    solver.step(lambda: {"data": (torch.ones(3, 1), torch.zeros(3, 1))})
    before, history = solver.flat.data.clone(), solver.update.history()[0].copy()
    bad = {"data": (torch.full((3, 1), math.inf), torch.zeros(3, 1))}
    with pytest.raises(NonFiniteLossError, match="inf at iteration 1") as caught:
        solver.step(lambda: bad)
    assert caught.value.batches == (bad,)
    assert torch.equal(solver.flat.data, before)
    np.testing.assert_array_equal(solver.update.history()[0], history)
    assert solver.iteration == 1


def test_the_smoothed_loss_is_the_mean_of_the_last_ones() -> None:
    smoothed = SmoothedLoss(2)
    assert [smoothed.add(loss) for loss in (4, 2, 6, 1)] == [4, 3, 4, 3.5]


def test_the_smoothed_loss_goes_on_from_its_state() -> None:
    whole, first = SmoothedLoss(3), SmoothedLoss(3)
    losses = [0.1, 0.7, 0.3, 0.9, 0.2, 0.4]
    expected = [whole.add(loss) for loss in losses]
    for loss in losses[:4]:
        first.add(loss)
    second = SmoothedLoss(3)
    second.restore(first.state())
    assert [second.add(loss) for loss in losses[4:]] == expected[4:]


def test_the_smoothed_loss_of_another_window_starts_anew() -> None:
    first = SmoothedLoss(5)
    for loss in (5, 4, 3, 2, 1):
        first.add(loss)
    second = SmoothedLoss(2)
    second.restore(first.state())
    assert second.add(7) == 7
