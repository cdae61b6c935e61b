"""The stepwise executor: buffers that stay and can be written, parts of a net, timing."""

from __future__ import annotations

import weakref

import pytest
import torch

from caffeflow.engine.stepwise import StepwiseExecutor
from caffeflow.engine.training import FusedExecutor
from caffeflow.errors import NetError
from tests.support.engine_nets import (
    SMALL,
    batch,
    images,
    inner_product,
    layer,
    net_of,
    role_net,
    softmax_loss,
)

DEPLOY = (
    layer("data", "Input", "", "data", "input_param { shape { dim: 2 dim: 3 } }")
    + inner_product("a", "data", "a", 5)
    + layer("relu", "ReLU", "a", "a")
    + inner_product("b", "a", "b", 7)
)


def number(executor: StepwiseExecutor, name: str) -> int:
    return next(one.facts.node.index for one in executor.net.layers if one.name == name)


def test_buffers_stay_where_they_are() -> None:
    executor = StepwiseExecutor(net_of(SMALL))
    before = {blob: value.data_ptr() for blob, value in executor.data.items()}
    executor.forward(batch(executor.net, seed=1))
    executor.backward()
    first = executor.data["ip2"].clone()
    executor.forward(batch(executor.net, seed=2))
    assert not torch.equal(first, executor.data["ip2"])
    assert {blob: value.data_ptr() for blob, value in executor.data.items()} == before


def test_an_in_place_layer_overwrites_its_blob() -> None:
    executor = StepwiseExecutor(net_of(DEPLOY))
    executor.forward(batch(executor.net), end=number(executor, "a"))
    assert float(executor.data["a"].min()) < 0
    executor.forward(start=number(executor, "relu"), end=number(executor, "relu"))
    assert float(executor.data["a"].min()) == 0


def test_a_part_runs_on_what_was_written_into_the_buffers() -> None:
    executor = StepwiseExecutor(net_of(DEPLOY))
    executor.data["a"].fill_(2.0)
    executor.forward(start=number(executor, "b"))
    b = executor.net.layers[number(executor, "b")]
    expected = torch.full((2, 5), 2.0) @ b.tensors[0].detach().t() + b.tensors[1].detach()
    torch.testing.assert_close(executor.data["b"], expected)


def test_who_is_called_around_layers_may_write_into_the_buffers() -> None:
    executor = StepwiseExecutor(net_of(DEPLOY))
    relu = number(executor, "relu")

    class Writing:
        def before(self, layer: int, direction: str) -> None:
            if layer == relu and direction == "forward":
                executor.data["a"].copy_(written)

        def after(self, layer: int, direction: str) -> None:
            """Has nothing to do."""

    written = torch.arange(-5.0, 5.0).view(2, 5)
    executor.around = Writing()
    executor.forward(batch(executor.net))
    assert torch.equal(executor.data["a"], written.clamp(min=0))


def test_a_learned_blob_that_is_a_top_may_be_written_before_backward() -> None:
    parameter = "parameter_param { shape { dim: 2 dim: 3 } }"
    net = net_of(
        layer("p", "Parameter", "", "p", parameter)
        + layer("square", "Power", "p", "square", "power_param { power: 2 }")
        + layer("loss", "Reduction", "square", "loss", "loss_weight: 1")
    )
    executor = StepwiseExecutor(net)
    (learned,) = net.layers[0].tensors
    learned.data.fill_(3)
    executor.forward()
    learned.detach().numpy()[...] = 100  # behind autograd's back
    executor.backward()
    assert torch.equal(executor.diff["p"], torch.full((2, 3), 6.0))


def test_a_fed_layer_keeps_its_buffers_without_new_values() -> None:
    executor = StepwiseExecutor(net_of(DEPLOY))
    executor.data["data"].fill_(1.0)
    executor.forward()
    torch.testing.assert_close(executor.data["b"][0], executor.data["b"][1])


def test_backward_starts_from_the_diff_that_was_written() -> None:
    executor = StepwiseExecutor(net_of(DEPLOY, phase="TEST"), gradients=True, force_backward=True)
    executor.forward(batch(executor.net))
    weight = executor.net.layers[number(executor, "b")].tensors[0].detach()
    for column in (0, 3):  # again from the same forward, with another diff
        executor.diff["b"].zero_()
        executor.diff["b"][:, column] = 1
        executor.backward(end=number(executor, "b"))
        torch.testing.assert_close(executor.diff["a"], weight[column].expand(2, 5))


def test_writing_into_data_does_not_spoil_the_gradient() -> None:
    spoiled, clean = StepwiseExecutor(net_of(SMALL)), StepwiseExecutor(net_of(SMALL))
    feeds = batch(clean.net)
    for executor in (spoiled, clean):
        executor.forward(feeds)
    for value in spoiled.data.values():
        value.fill_(9)
    for executor in (spoiled, clean):
        executor.backward()
    for ours, theirs in zip(spoiled.net.learned, clean.net.learned, strict=True):
        assert torch.equal(ours.tensors[0].grad, theirs.tensors[0].grad)


def test_diffs_are_the_gradients_of_autograd() -> None:
    executor = StepwiseExecutor(net_of(SMALL))
    executor.forward(batch(executor.net))
    scores = executor.data["ip2"].clone().requires_grad_()
    labels = executor.data["label"].long()
    torch.nn.functional.cross_entropy(scores, labels).backward()
    executor.backward()
    torch.testing.assert_close(executor.diff["ip2"], scores.grad)
    assert float(executor.diff["loss"]) == 1
    assert not executor.diff["data"].any()  # nothing learns below


def test_an_in_place_layer_s_learned_blobs_get_the_top_s_gradient() -> None:
    """The bias' gradient is the top's, whose buffer the bottom's gradient overwrites."""
    settings = 'scale_param { num_axes: -1 axis: 0 bias_term: true filler { type: "gaussian" } }'
    net = net_of(
        layer("data", "Input", "", "data", "input_param { shape { dim: 3 dim: 2 } }")
        + layer("scale", "Scale", "data", "data", settings)
    )
    executor = StepwiseExecutor(net, force_backward=True)
    executor.forward({"data": (torch.randn(3, 2),)})
    diff = torch.randn(3, 2)
    executor.diff["data"].copy_(diff)
    executor.backward()
    factor, bias = net.layers[1].tensors
    assert torch.equal(bias.grad, diff)
    assert torch.equal(executor.diff["data"], diff * factor)


@pytest.mark.parametrize("asked", ["", "propagate_down: true", "propagate_down: false"])
def test_propagate_down_asks_for_a_diff_where_nothing_learns_below(asked: str) -> None:
    text = images(2, 3, 5, 7) + inner_product("a", "data", "a", 5, asked) + softmax_loss("a")
    executor = StepwiseExecutor(net_of(text))
    executor.forward(batch(executor.net))
    executor.backward()
    assert executor.diff["data"].any() == asked.endswith("true")


def test_the_diff_of_a_loss_is_its_weight_until_somebody_writes_another() -> None:
    text = images(2, 3, 5, 7) + inner_product("a", "data", "a", 5) + softmax_loss("a", "loss_weight: 3")
    executor = StepwiseExecutor(net_of(text))
    executor.forward(batch(executor.net))
    executor.backward()
    assert float(executor.diff["loss"]) == 3
    thrice = executor.diff["a"].clone()
    executor.diff["loss"].fill_(1)
    executor.backward()
    torch.testing.assert_close(executor.diff["a"] * 3, thrice)


def test_a_larger_batch_gets_larger_buffers() -> None:
    executor = StepwiseExecutor(net_of(SMALL))
    feeds = {name: tuple(torch.cat([top, top]) for top in tops) for name, tops in batch(executor.net).items()}
    executor.forward(feeds)
    executor.backward()
    assert executor.data["ip2"].shape == executor.diff["ip2"].shape == (6, 5)
    assert float(executor.diff["loss"]) == 1


def test_backward_without_forward_takes_what_the_buffers_hold() -> None:
    ran, not_run = StepwiseExecutor(net_of(SMALL)), StepwiseExecutor(net_of(SMALL))
    ran.forward(batch(ran.net))
    for blob, value in ran.data.items():
        not_run.data[blob].copy_(value)
    for executor in (ran, not_run):
        executor.backward()
    for ours, theirs in zip(not_run.net.learned, ran.net.learned, strict=True):
        torch.testing.assert_close(ours.tensors[0].grad, theirs.tensors[0].grad)


def test_backward_without_gradients_is_refused() -> None:
    executor = StepwiseExecutor(net_of(SMALL), gradients=False)
    executor.forward(batch(executor.net))
    with pytest.raises(NetError, match="layer 'loss': cannot run backward"):
        executor.backward()


def test_the_observer_hears_of_every_layer_once_its_buffers_are_filled() -> None:
    heard = []
    executor = StepwiseExecutor(net_of(SMALL))

    def observe(one, direction, seconds) -> None:
        assert seconds >= 0
        heard.append((direction, one.name, one.name == "data" or float(executor.data["ip2"].abs().sum()) > 0))

    executor.observer = observe
    executor.forward(batch(executor.net))
    executor.backward()
    names = ["data", "conv1", "relu1", "pool1", "ip1", "relu2", "ip2", "accuracy", "loss"]
    assert [name for direction, name, _ in heard if direction == "forward"] == names
    backward = [name for direction, name, _ in heard if direction == "backward"]
    assert backward == [name for name in reversed(names) if name not in ("data", "accuracy")]
    assert heard[6][2]


def test_without_gradients_a_top_is_let_go_once_it_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    net = net_of(DEPLOY, phase="TEST")
    a = next(one.module for one in net.layers if one.name == "a")
    forward, made = a.forward, []

    def note(x):
        top = forward(x)
        made.append(weakref.ref(top))
        return top

    monkeypatch.setattr(a, "forward", note)
    held = {}
    executor = StepwiseExecutor(net)
    executor.observer = lambda one, *_: held.update({one.name: [top() is not None for top in made]})
    executor.forward(batch(net))
    assert held == {"data": [], "a": [True], "relu": [False], "b": [False]}


FROZEN = (
    'force_backward: true layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }\n'
    + inner_product("a", "data", "a", 5, "param { lr_mult: 0 } param { lr_mult: 0 }")
    + inner_product("b", "a", "b", 7, "propagate_down: false")
    + layer("loss", "Reduction", "b", "loss", "loss_weight: 1 reduction_param { operation: SUMSQ }")
)
"""A net of which only `b` learns, but which asks for all gradients."""


def test_force_backward_overrules_what_is_frozen_and_cut() -> None:
    net = role_net(FROZEN)
    stepwise, fused = StepwiseExecutor(net, force_backward=True), FusedExecutor(net)
    stepwise.forward(batch(net))
    stepwise.backward()
    gradients = [
        tensor.grad.clone() for one in net.layers for tensor in one.tensors if tensor.grad is not None
    ]
    assert len(gradients) == 4
    assert all(gradient.any() for gradient in gradients)
    assert stepwise.diff["data"].any()
    for one in net.layers:
        for tensor in one.tensors:
            tensor.grad = None
    fused.forward(batch(net))
    fused.backward()
    found = [tensor.grad for one in net.layers for tensor in one.tensors]
    torch.testing.assert_close(found, gradients)
