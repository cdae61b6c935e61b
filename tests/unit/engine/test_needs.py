"""Which layers run backward, and what becomes of a loss that another layer reads: Caffe's answers for both.

The figures of `test_a_loss_that_is_read` are those of the real Caffe on the same net, in parts of the plain
loss and of its gradient.
"""

from __future__ import annotations

import pytest
import torch

from caffeflow.engine.needs import needed_gradients
from caffeflow.engine.net import Net
from caffeflow.engine.stepwise import StepwiseExecutor
from caffeflow.engine.training import FusedExecutor
from tests.support.engine_nets import batch, images, inner_product, layer, net_of, role_net, softmax_loss

SCORES = images(7, 3) + inner_product("ip", "data", "ip", 5)


def running(text: str) -> list[str]:
    layers = net_of(text).layers
    return [layers[index].name for index in needed_gradients(layers, force=False)]


def read(name: str, bottom: str, extra: str = "") -> str:
    return layer(name, "Power", bottom, name, f"power_param {{ scale: 0.5 }} {extra}")


def test_batch_norm_runs_backward_unless_the_file_freezes_its_statistics() -> None:
    def of(specs: str) -> list[str]:
        return running(
            images(5, 3)
            + layer("bn", "BatchNorm", "data", "bn", specs)
            + layer("tanh", "TanH", "bn", "tanh", "loss_weight: 1")
        )

    assert of("") == ["tanh", "bn"]
    assert of("param { lr_mult: 0 } " * 3) == []


def test_what_no_reader_hands_a_gradient_does_not_run() -> None:
    tanh = layer("tanh", "TanH", "ip", "tanh")
    cut = inner_product("b", "tanh", "b", 5, "propagate_down: false") + softmax_loss("b")
    assert running(SCORES + tanh + cut) == ["loss", "b"]
    also_read = layer("other", "Reduction", "tanh", "other", "loss_weight: 1")
    assert running(SCORES + tanh + cut + also_read) == ["other", "loss", "b", "tanh", "ip"]


def test_a_slice_runs_for_a_top_that_nothing_reads() -> None:
    slices = layer("slice", "Slice", "ip", "left right", "slice_param { slice_point: 2 }")
    cut = inner_product("b", "left", "b", 5, "propagate_down: false") + softmax_loss("b")
    assert running(SCORES + slices + cut) == ["loss", "b", "slice", "ip"]
    silent = layer("silence", "Silence", "right", "")
    assert running(SCORES + slices + cut + silent) == ["loss", "b"]


@pytest.mark.parametrize(
    ("weight", "readers", "loss", "gradient"),
    [
        ("", "", 1, 1),
        ("", read("p", "loss", "loss_weight: 1"), 1.5, 0.5),
        ("", read("p", "loss", "loss_weight: 1") + read("q", "loss", "loss_weight: 1"), 2, 1),
        ("", read("p", "loss"), 1, 0),
        ("", read("p", "loss") + read("q", "loss"), 1, 0),
        ("", read("p", "loss", "propagate_down: false loss_weight: 1"), 1.5, 0),
        ("loss_weight: 1", read("p", "loss", "loss_weight: 1"), 2.5, 1.5),
    ],
)
def test_a_loss_that_is_read(weight: str, readers: str, loss: float, gradient: float) -> None:
    plain, plain_gradient = both(role_net(SCORES + softmax_loss("ip")))
    found, found_gradient = both(role_net(SCORES + softmax_loss("ip", weight) + readers))
    assert found == pytest.approx(loss * plain)
    torch.testing.assert_close(found_gradient, gradient * plain_gradient)


def both(net: Net) -> tuple[float, torch.Tensor]:
    """Returns the loss and the weights' gradient of two passes, on which both executors agree."""
    weights = next(one for one in net.layers if one.name == "ip").tensors[0]
    found = []
    for executor in (StepwiseExecutor(net), FusedExecutor(net)):
        weights.grad = torch.zeros_like(weights)
        for _ in range(2):
            loss = float(executor.forward(batch(net)).loss)
            executor.backward()
        found.append((loss, weights.grad / 2))
    torch.testing.assert_close(found[0], found[1])
    return found[0]
