"""Losses and Accuracy: cases worked by hand, and labels that are no classes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffeflow.errors import DataError
from tests.support.layer_battery import Case, run


def module_of(prototxt, *bottoms, tops=1):
    values = [np.asarray(bottom, np.float32) for bottom in bottoms]
    case = Case(id="by hand", prototxt=prototxt, bottoms=values, oracle=lambda *_: (), tops=tops)
    return case.module(), values


def value_of(prototxt, *bottoms):
    module, values = module_of(prototxt, *bottoms)
    return run(module, values)[0].item()


SCORES, LABELS = [[1, 2, 3], [1, 1, 1]], [2, 0]


@pytest.mark.parametrize("mode", ["VALID", "BATCH_SIZE", "FULL"])
def test_softmax_loss_by_hand(mode):
    prototxt = f'type: "SoftmaxWithLoss" loss_param {{ normalization: {mode} }}'
    assert value_of(prototxt, SCORES, LABELS) == pytest.approx(0.753109, abs=1e-6)


def test_sigmoid_loss_by_hand_divides_by_the_rows_unless_told_otherwise():
    scores, targets = [[0.5, -1], [2, 0]], [[1, 0], [0, 1]]
    plain = 'type: "SigmoidCrossEntropyLoss"'
    assert value_of(plain, scores, targets) == pytest.approx(1.803707, abs=1e-6)
    for mode in ("VALID", "FULL"):
        text = f"{plain} loss_param {{ normalization: {mode} }}"
        assert value_of(text, scores, targets) == pytest.approx(0.901853, abs=1e-6)


def test_a_map_is_averaged_over_all_its_positions():
    scores = np.zeros((2, 3, 5, 7))
    loss = value_of('type: "SoftmaxWithLoss"', scores, np.zeros((2, 5, 7)))
    assert loss == pytest.approx(np.log(3), rel=1e-6)
    by_rows = 'type: "SoftmaxWithLoss" loss_param { normalization: BATCH_SIZE }'
    assert value_of(by_rows, scores, np.zeros((2, 5, 7))) == pytest.approx(35 * np.log(3), rel=1e-6)


def test_one_position_never_adds_more_than_the_smallest_floats_logarithm():
    hopeless = [[0.0, 500.0]]
    module, (scores, labels) = module_of('type: "SoftmaxWithLoss"', hopeless, [0])
    x = torch.from_numpy(scores).requires_grad_()
    loss = module(x, torch.from_numpy(labels))
    assert isinstance(loss, torch.Tensor)
    assert loss.item() == pytest.approx(87.33655, abs=1e-4)
    loss.backward()  # Caffe: the bound holds for the value only
    assert x.grad is not None
    assert x.grad.tolist() == [[-1.0, 1.0]]


@pytest.mark.parametrize("layer_type", ["SoftmaxWithLoss", "Accuracy"])
@pytest.mark.parametrize(("label", "shown"), [(3, "3"), (-1, "-1"), (1e6, "1000000")])
def test_a_label_that_is_no_class_is_named(layer_type, label, shown):
    module, values = module_of(f'type: "{layer_type}"', SCORES, [1, label])
    with pytest.raises(DataError) as caught:
        run(module, values)
    for word in ("layer 'layer'", f"label {shown} ", "3 classes (0 to 2)", "num_output"):
        assert word in str(caught.value)


@pytest.mark.parametrize("param", ["loss_param", "accuracy_param"])
def test_an_ignored_label_may_lie_outside_the_classes(param):
    layer_type = "SoftmaxWithLoss" if param == "loss_param" else "Accuracy"
    text = f'type: "{layer_type}" {param} {{ ignore_label: 255 }}'
    assert np.isfinite(value_of(text, SCORES, [2, 255]))


def test_no_gradient_where_the_label_is_ignored():
    text = 'type: "SoftmaxWithLoss" loss_param { ignore_label: 1 }'
    module, (scores, labels) = module_of(text, SCORES, [1, 0])
    x = torch.from_numpy(scores).requires_grad_()
    loss = module(x, torch.from_numpy(labels))
    assert isinstance(loss, torch.Tensor)
    loss.backward()
    assert x.grad is not None
    assert x.grad[0].tolist() == [0, 0, 0]
    assert x.grad[1].tolist() == pytest.approx([-2 / 3, 1 / 3, 1 / 3])


def test_equal_scores_count_against_the_sample():
    assert value_of('type: "Accuracy"', [[1, 1], [0, 1]], [0, 1]) == 0.5
    assert value_of('type: "Accuracy" accuracy_param { top_k: 2 }', [[1, 1], [0, 1]], [0, 1]) == 1


def test_accuracy_is_exact_in_half_precision():
    scores = torch.zeros(999, 2, dtype=torch.bfloat16)
    scores[:, 0] = 1
    labels = (torch.arange(999) % 3 == 0).float()
    module, _ = module_of('type: "Accuracy"', np.zeros((999, 2)), np.zeros(999))
    top = module(scores, labels)
    assert isinstance(top, torch.Tensor)
    assert top.item() == pytest.approx(666 / 999, rel=1e-6)


@pytest.mark.parametrize("layer_type", ["SoftmaxWithLoss", "EuclideanLoss", "SigmoidCrossEntropyLoss"])
def test_losses_of_half_precision_scores_are_summed_in_single(layer_type):
    rows = 2003
    scores = torch.linspace(-1, 1, rows * 3).reshape(rows, 3).bfloat16()
    other = torch.arange(rows) % 3.0 if layer_type == "SoftmaxWithLoss" else torch.zeros(rows, 3)
    module, _ = module_of(f'type: "{layer_type}"', np.zeros((rows, 3)), other.numpy())
    half, single = module(scores, other), module(scores.float(), other)
    assert isinstance(half, torch.Tensor)
    assert isinstance(single, torch.Tensor)
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(single.item(), rel=1e-6)
