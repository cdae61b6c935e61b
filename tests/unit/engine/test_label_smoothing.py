"""Label smoothing against loops, in every mode of the loss; and the nets that it is refused for."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from caffeflow.engine.label_smoothing import smooth_labels
from caffeflow.engine.modules.losses import SoftmaxWithLoss
from caffeflow.engine.net import Net
from caffeflow.errors import UsageError
from caffeflow.layers.inference import infer
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.text import parse
from tests.support.layer_battery import Case
from tests.support.oracles import losses

CASES = [
    ("", {}, (5, 7), 1),
    ("loss_param { normalization: BATCH_SIZE }", {"normalization": "BATCH_SIZE"}, (2, 5, 3, 7), 1),
    (
        "loss_param { normalization: FULL ignore_label: 2 }",
        {"normalization": "FULL", "ignore": 2},
        (3, 5, 7),
        1,
    ),
    ("loss_param { ignore_label: 1 }", {"ignore": 1}, (2, 5, 3), 1),
    ("loss_param { normalization: NONE } softmax_param { axis: 2 }", {"normalization": "NONE"}, (2, 3, 5), 2),
    (
        "loss_param { normalize: false } softmax_param { axis: -1 }",
        {"normalization": "BATCH_SIZE"},
        (2, 3, 5),
        -1,
    ),
]


def loss_of(prototxt: str, scores: np.ndarray, labels: np.ndarray) -> SoftmaxWithLoss:
    bottoms = [scores.astype(np.float32), labels.astype(np.float32)]
    module = Case(id="", prototxt=prototxt, bottoms=bottoms, oracle=lambda *_: ()).module()
    assert isinstance(module, SoftmaxWithLoss)
    return module


@pytest.mark.parametrize(("text", "settings", "shape", "axis"), CASES)
@pytest.mark.parametrize("share", [0.1, 0.37, 1.0])
def test_value_and_gradient_are_those_of_the_formula(
    text: str, settings: dict, shape: tuple[int, ...], axis: int, share: float
) -> None:
    rng = np.random.default_rng(5)
    axis = axis % len(shape)
    scores = rng.normal(scale=3, size=shape)
    labels = rng.integers(0, shape[axis], size=shape[:axis] + shape[axis + 1 :])
    module = loss_of(f'type: "SoftmaxWithLoss" {text}', scores, labels)
    module.smoothing = share
    x = torch.from_numpy(scores).requires_grad_()
    value = module(x, torch.from_numpy(labels.astype(np.float64)))
    assert isinstance(value, torch.Tensor)
    value.backward()
    expected, gradient = losses.softmax_loss(scores, labels, axis=axis, smoothing=share, **settings)
    assert value.item() == pytest.approx(float(expected), rel=1e-12)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), gradient, atol=1e-14)


def test_what_is_hopeless_costs_no_more_than_the_smallest_floats_logarithm() -> None:
    module = loss_of('type: "SoftmaxWithLoss"', np.array([[0.0, 500.0]]), np.zeros(1))
    module.smoothing = 0.5
    value = module(torch.tensor([[0.0, 500.0]]), torch.zeros(1))
    assert isinstance(value, torch.Tensor)
    # Half of it is the label's own, the other half is shared by two classes, of which one is certain.
    assert value.item() == pytest.approx(0.75 * 87.33655, abs=1e-4)


def test_the_probabilities_stay_what_they_are() -> None:
    bottoms = [np.zeros((3, 2), np.float32), np.zeros(3, np.float32)]
    text = 'type: "SoftmaxWithLoss" loss_weight: [1, 0]'
    module = Case(id="", prototxt=text, bottoms=bottoms, oracle=lambda *_: (), tops=2).module()
    assert isinstance(module, SoftmaxWithLoss)
    module.smoothing = 0.3
    loss, shares = module(torch.zeros(3, 2), torch.zeros(3))
    assert loss.item() == pytest.approx(math.log(2), rel=1e-6)
    assert shares.tolist() == [[0.5, 0.5]] * 3


def net_of(*ends: str) -> Net:
    source = 'layer { name: "in" type: "DummyData" top: "x" top: "y" dummy_data_param {'
    source += " shape { dim: 2 dim: 3 } shape { dim: 2 } } }"
    graph = build_graph(parse(source + "".join(ends), NetParameter(), source="net"))
    return Net(graph, infer(graph))


def test_every_softmax_loss_of_a_net_is_smoothed() -> None:
    net = net_of(
        'layer { name: "aux" type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "aux" loss_weight: 0.3 }',
        'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "loss" }',
    )
    smooth_labels(net, 0.1)
    assert [layer.module.smoothing for layer in net.layers[1:]] == [0.1, 0.1]


def test_a_net_without_such_a_loss_is_refused_with_what_it_has() -> None:
    net = net_of('layer { name: "hinge" type: "HingeLoss" bottom: "x" bottom: "y" top: "loss" }')
    with pytest.raises(UsageError, match=r"--label-smoothing 0\.1 .* no such layer; 'hinge' is a HingeLoss"):
        smooth_labels(net, 0.1)
