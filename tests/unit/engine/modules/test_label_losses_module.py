"""Losses of one label a row: cases worked by hand, the matrix of InfogainLoss from a file, wrong labels."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from caffeflow.errors import DataError, NetError, WeightsError
from caffeflow.proto.binary import array_to_blob
from tests.support.layer_battery import Case, run
from tests.support.oracles import label_losses
from tests.support.oracles.softmax import softmax


def case_of(prototxt, *bottoms, tops=1):
    values = [np.asarray(bottom, np.float32) for bottom in bottoms]
    return Case(id="by hand", prototxt=prototxt, bottoms=values, oracle=lambda *_: (), tops=tops)


def tops_of(prototxt, *bottoms, tops=1):
    case = case_of(prototxt, *bottoms, tops=tops)
    return run(case.module(), case.values())


def test_hinge_by_hand():
    # The label's 0.5 lacks 0.5, and -0.5 is 0.5 too high.
    scores, labels = [[0.5, -0.5, -2]], [0]
    assert tops_of('type: "HingeLoss"', scores, labels)[0] == pytest.approx(1.0)
    assert tops_of('type: "HingeLoss" hinge_loss_param { norm: L2 }', scores, labels)[0] == pytest.approx(0.5)


def test_no_probability_costs_as_much_as_one_in_1e20():
    loss = tops_of('type: "MultinomialLogisticLoss"', [[1.0, 0.0]], [1])[0]
    assert loss == pytest.approx(20 * math.log(10))


def test_infogain_with_a_unit_matrix_is_the_softmax_loss():
    scores, labels = [[1, 2, 3], [1, 1, 1]], [2, 0]
    assert tops_of('type: "InfogainLoss"', scores, labels, np.eye(3))[0] == pytest.approx(0.753109, abs=1e-6)


def test_the_matrix_may_be_a_file_and_the_probabilities_a_top(tmp_path: Path):
    rng = np.random.default_rng(3)
    scores, labels, matrix = rng.standard_normal((3, 5)), np.array([2.0, 0, 4]), rng.uniform(size=(5, 5))
    file = tmp_path / "h.binaryproto"
    file.write_bytes(array_to_blob(matrix.reshape(1, 1, 5, 5).astype(np.float32)).SerializeToString())
    text = f'type: "InfogainLoss" infogain_loss_param {{ source: "{file}" }} loss_weight: [1, 0]'
    loss, shares = tops_of(text, scores, labels, tops=2)
    assert loss == pytest.approx(label_losses.infogain(scores, labels, matrix)[0], rel=1e-6)
    np.testing.assert_allclose(shares, softmax(scores), rtol=1e-6)
    with pytest.raises(NetError, match=r"layer 'layer': .*h\.binaryproto: .*3 x 3 values.*1 x 1 x 5 x 5"):
        case_of(text, scores[:, :3], labels, tops=2).module()
    with pytest.raises(WeightsError, match="missing"):
        case_of(text.replace("h.bin", "missing.bin"), scores, labels, tops=2).module()


def test_equal_vectors_of_different_kinds_have_no_gradient():
    module = case_of('type: "ContrastiveLoss"', np.ones((1, 3)), np.ones((1, 3)), [0]).module()
    first = torch.ones(1, 3, requires_grad=True)
    loss = module(first, torch.ones(1, 3), torch.zeros(1))
    assert isinstance(loss, torch.Tensor)
    assert loss.item() == 0.5
    loss.backward()
    assert first.grad is not None
    assert first.grad.tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("layer_type", ["HingeLoss", "MultinomialLogisticLoss", "InfogainLoss"])
@pytest.mark.parametrize("label", [3, -1])
def test_a_label_that_is_no_class_is_named(layer_type, label):
    matrix = [np.eye(3)] if layer_type == "InfogainLoss" else []
    with pytest.raises(DataError, match=f"layer 'layer': label {label} is not among its 3 classes"):
        tops_of(f'type: "{layer_type}"', np.ones((2, 3)) / 3, [0, label], *matrix)
