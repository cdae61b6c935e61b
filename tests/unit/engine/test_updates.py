"""The update rules against a solver that moves one number at a time, and against worked cases."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffeflow.engine.parameters import FlatParameters, LearnedBlob
from caffeflow.engine.updates import RULES, Update, check_update
from caffeflow.errors import NetError, WeightsError
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.text import parse
from tests.support.oracles import solvers as oracle

FIELDS = {
    "SGD": "momentum: 0.9",
    "Nesterov": "momentum: 0.9",
    "AdaGrad": "delta: 1e-8",
    "RMSProp": "rms_decay: 0.99",
    "AdaDelta": "momentum: 0.9 delta: 1e-8",
    "Adam": "momentum: 0.9 momentum2: 0.999",
}


def solver_of(text: str) -> SolverParameter:
    return parse(text, SolverParameter(), source="solver")


def flat_of(*blobs: np.ndarray, multipliers=None, channels_last=False) -> FlatParameters:
    multipliers = multipliers or [(1.0, 1.0)] * len(blobs)
    learned = [
        LearnedBlob(
            layer="ip", index=index, name="weight", lr_mult=lr, decay_mult=decay,
            tensors=(torch.nn.Parameter(torch.tensor(blob, dtype=torch.float32)),),
        )
        for index, (blob, (lr, decay)) in enumerate(zip(blobs, multipliers, strict=True))
    ]  # fmt: skip
    return FlatParameters(learned, device=torch.device("cpu"), channels_last=channels_last)


def take(flat: FlatParameters, update: Update, rate: float, iteration: int, *gradients: np.ndarray) -> None:
    flat.grad.zero_()
    for blob, gradient in zip(flat.blobs, gradients, strict=True):
        blob.tensors[0].grad.add_(torch.tensor(gradient, dtype=torch.float32))
    update.clip()
    update.apply(rate, iteration)


@pytest.mark.parametrize(
    ("kind", "course"),
    [
        ("SGD", (-0.1, -0.24, -0.346)),
        ("Nesterov", (-0.19, -0.366, -0.4414)),
        ("AdaGrad", (-0.1, -0.1447214, -0.1359926)),
        ("RMSProp", (-0.9999999, -1.449013, -1.361539)),
        ("AdaDelta", (-3.162278e-05, -5.247421e-05, -4.816743e-05)),
        ("Adam", (-0.09999997, -0.1932179, -0.1911543)),
    ],
)
def test_one_weight_through_a_change_of_rate(kind: str, course: tuple[float, ...]) -> None:
    flat = flat_of(np.zeros(1))
    update = Update(flat, solver_of(f'type: "{kind}" {FIELDS[kind]}'))
    seen = []
    for iteration, (gradient, rate) in enumerate([(1.0, 0.1), (0.5, 0.1), (-2.0, 0.01)]):
        take(flat, update, rate, iteration, np.array([gradient]))
        seen.append(float(flat.data[0]))
    assert seen == pytest.approx(course, rel=1e-6)


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("regularization", ["L1", "L2"])
def test_every_rule_agrees_with_the_oracle(kind: str, regularization: str) -> None:
    rng = np.random.default_rng(7)
    shapes = [(5, 3, 2, 7), (5,), (3, 11)]
    multipliers = [(1.0, 1.0), (2.0, 0.0), (1.0, 1.0)]
    weights = [rng.normal(size=shape) for shape in shapes]
    rates = [0.1, 0.1, 0.03, 0.2]
    gradients = [[rng.normal(size=shape) for shape in shapes] for _ in rates]

    flat = flat_of(*weights, multipliers=multipliers, channels_last=True)
    text = f'type: "{kind}" {FIELDS[kind]} weight_decay: 0.05 regularization_type: "{regularization}"'
    update = Update(flat, solver_of(text + " clip_gradients: 9"))
    for iteration, rate in enumerate(rates):
        take(flat, update, rate, iteration, *gradients[iteration])

    expected = oracle.solve(
        kind,
        [weight.ravel() for weight in weights],
        [[[gradient.ravel() for gradient in step]] for step in gradients],
        rates,
        params=multipliers,
        momentum=0.0 if kind in ("AdaGrad", "RMSProp") else 0.9,
        weight_decay=0.05,
        regularization=regularization,
        clip=9.0,
    )[-1]
    for got, wanted in zip(flat.arrays(flat.data), expected, strict=True):
        np.testing.assert_allclose(got.ravel(), wanted, rtol=2e-5, atol=2e-6)


def test_clipping_comes_before_the_division_by_iter_size() -> None:
    flat = flat_of(np.zeros(2))
    update = Update(flat, solver_of("clip_gradients: 10 iter_size: 4"))
    flat.grad[:2] = torch.tensor([0.0, 12.0])  # four sub-batches of norm 3, accumulated
    clipped = update.clip()
    update.apply(1.0, 0)
    assert clipped is not None
    assert (clipped.norm, clipped.limit) == (12.0, 10.0)
    assert flat.data[:2].tolist() == pytest.approx([0.0, -2.5])


def test_a_gradient_within_the_limit_is_left_alone() -> None:
    flat = flat_of(np.zeros(2))
    update = Update(flat, solver_of("clip_gradients: 5"))
    flat.grad[:2] = torch.tensor([3.0, 4.0])
    assert update.clip() is None
    assert flat.grad[:2].tolist() == [3.0, 4.0]


def test_blobs_keep_shape_and_values_inside_the_flat_buffer() -> None:
    weight = np.arange(2 * 3 * 5 * 7, dtype=np.float32).reshape(2, 3, 5, 7)
    flat = flat_of(weight, np.float32([1, 2]), channels_last=True)
    tensor = flat.blobs[0].tensors[0]
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    assert tensor.grad.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(tensor.detach().numpy(), weight)
    np.testing.assert_array_equal(flat.arrays(flat.data)[0], weight)
    tensor.data.add_(1)
    np.testing.assert_array_equal(flat.arrays(flat.data)[0], weight + 1)


def test_autograd_adds_into_the_flat_gradient() -> None:
    flat = flat_of(np.ones((2, 3, 1, 1)), channels_last=True)
    for _ in range(2):
        flat.blobs[0].tensors[0].mul(3).sum().backward()
    np.testing.assert_array_equal(flat.arrays(flat.grad)[0], np.full((2, 3, 1, 1), 6))


def test_equal_multipliers_share_a_segment() -> None:
    sizes = [np.zeros(3), np.zeros(5), np.zeros(7), np.zeros(2)]
    flat = flat_of(*sizes, multipliers=[(1, 1), (2, 0), (1, 1), (2, 0)])
    assert [(part.lr_mult, part.decay_mult) for part in flat.segments] == [(1, 1), (2, 0)]


@pytest.mark.parametrize(("kind", "blobs"), [("SGD", 2), ("Adam", 4), ("AdaDelta", 4)])
def test_history_comes_back_in_caffes_order(kind: str, blobs: int) -> None:
    rng = np.random.default_rng(3)
    start = [rng.normal(size=(3, 2, 5, 7)), rng.normal(size=3)]
    gradient = [rng.normal(size=blob.shape) for blob in start]

    def fresh() -> tuple[FlatParameters, Update]:
        flat = flat_of(*start, multipliers=[(2, 1), (1, 1)], channels_last=True)
        return flat, Update(flat, solver_of(f'type: "{kind}" {FIELDS[kind]}'))

    flat, update = fresh()
    take(flat, update, 0.1, 0, *gradient)
    history = update.history()
    assert [array.shape for array in history] == [(3, 2, 5, 7), (3,)] * (blobs // 2)
    assert all(array.any() for array in history)

    other_flat, other = fresh()
    other.load_history(history)
    other_flat.data.copy_(flat.data)
    for pair in ((flat, update), (other_flat, other)):
        take(*pair, 0.1, 1, *gradient)
    assert torch.equal(flat.data, other_flat.data)


def test_history_of_another_net_is_refused() -> None:
    update = Update(flat_of(np.zeros(3), np.zeros(2)), solver_of(""))
    with pytest.raises(WeightsError, match=r"3 blobs.*want 2"):
        update.load_history([np.zeros(3, np.float32)] * 3)
    with pytest.raises(WeightsError, match=r"layer 'ip'.*5 values.*wants 2"):
        update.load_history([np.zeros(3, np.float32), np.zeros(5, np.float32)])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('type: "sgd"', "unknown solver type 'sgd'.*did you mean 'SGD'.*Nesterov"),
        ('type: "AdaGrad" momentum: 0.9', "momentum is 0.9, but AdaGrad allows none"),
        ('type: "RMSProp" momentum: 0.5', "momentum is 0.5, but RMSProp allows none"),
        ('type: "RMSProp" rms_decay: 1', "rms_decay is 1"),
        ('regularization_type: "L3"', "regularization_type is 'L3'"),
        ("iter_size: 0", "iter_size is 0"),
    ],
)
def test_a_solver_that_caffe_would_refuse(text: str, words: str) -> None:
    with pytest.raises(NetError, match=words):
        check_update(solver_of(text))
