"""A small SSD with MultiBoxLoss in both executors; the number of boxes changes from batch to batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffeflow.engine.debug_info import DebugExecutor
from caffeflow.engine.net import Net
from caffeflow.engine.stepwise import StepwiseExecutor
from caffeflow.engine.training import FusedExecutor
from tests.support.engine_nets import convolution, layer, net_of
from tests.support.multibox_scenes import as_truth
from tests.support.oracles.multibox import Settings, multibox

IMAGES, CLASSES, PRIORS = 3, 4, 2
KEPT = ("loc", "conf", "priors")


def head(name: str, outputs: int) -> str:
    return (
        convolution(f"{name}/map", "feature", f"{name}/map", outputs, 3, "pad: 1")
        + layer(
            f"{name}/perm", "Permute", f"{name}/map", f"{name}/perm", "permute_param { order: [0, 2, 3, 1] }"
        )
        + layer(name, "Flatten", f"{name}/perm", name)
    )


def detector(loss: str = "", links: str = "", images: int = IMAGES) -> str:
    shapes = f"shape {{ dim: {images} dim: 3 dim: 23 dim: 19 }} shape {{ dim: 1 dim: 1 dim: 1 dim: 8 }}"
    prior_box = "min_size: 7 max_size: 13 flip: false variance: [0.1, 0.1, 0.2, 0.2]"
    return (
        layer("data", "Input", "", "data label", f"input_param {{ {shapes} }}")
        + convolution("body", "data", "body", 7, 3, "stride: 2")
        + layer("relu", "ReLU", "body", "body")
        + convolution("feature", "body", "feature", 5, 3, "stride: 2")
        + head("loc", PRIORS * 4)
        + head("conf", PRIORS * CLASSES)
        + layer("priors", "PriorBox", "feature data", "priors", f"prior_box_param {{ {prior_box} }}")
        + layer(
            "mbox_loss",
            "MultiBoxLoss",
            "loc conf priors label",
            "mbox_loss",
            f"multibox_loss_param {{ num_classes: {CLASSES} code_type: CENTER_SIZE {loss} }} {links}",
        )
    )


AS_PUBLISHED = "propagate_down: [true, true, false, false]"


def feeds(seed: int) -> dict[str, tuple[torch.Tensor, ...]]:
    rng = np.random.default_rng(seed)
    rows = [
        [image, rng.integers(1, CLASSES), 0, *(rng.random(2) * 0.4), *(0.5 + rng.random(2) * 0.5), 0]
        for image in range(IMAGES)
        for _ in range(rng.integers(0, 4))
    ]
    pictures = rng.normal(size=(IMAGES, 3, 23, 19)).astype(np.float32)
    return {"data": (torch.from_numpy(pictures), torch.from_numpy(as_truth(rows or [[-1] * 8])))}


def gradients(net: Net) -> list[torch.Tensor]:
    return [blob.tensors[0].grad for blob in net.learned]


@pytest.mark.parametrize("links", ["", AS_PUBLISHED, "propagate_down: [true, false, false, false]"])
@pytest.mark.parametrize("loss", ["", "conf_loss_type: LOGISTIC", "mining_type: HARD_EXAMPLE sample_size: 7"])
def test_both_executors_agree(loss: str, links: str) -> None:
    fused, stepwise = net_of(detector(loss, links)), net_of(detector(loss, links))
    fast, slow = FusedExecutor(fused, channels_last=True), StepwiseExecutor(stepwise)
    for seed in (1, 2, 3):
        got, wanted = fast.forward(feeds(seed)), slow.forward(feeds(seed))
        torch.testing.assert_close(got.loss, wanted.loss, rtol=1e-5, atol=1e-6)
        assert float(wanted.loss) > 0
        fast.backward()
        slow.backward()
    learnt = [grad is not None and bool(grad.any()) for grad in gradients(stepwise)]
    assert sum(learnt) >= 6
    for mine, other in zip(gradients(fused), gradients(stepwise), strict=True):
        if mine is None or other is None:
            assert not any(grad is not None and grad.any() for grad in (mine, other))
        else:
            torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-5 * float(other.abs().max()))


def test_the_loss_in_a_net_is_that_of_its_heads() -> None:
    executor = StepwiseExecutor(net_of(detector(links=AS_PUBLISHED)))
    for seed in (1, 2):
        found = executor.forward(feeds(seed))
        executor.backward()
        bottoms = [executor.data[blob].numpy() for blob in (*KEPT, "label")]
        settings = Settings(classes=CLASSES, code="CENTER_SIZE")
        loss, *grads = multibox(*bottoms, settings)
        assert float(found.outputs["mbox_loss"]) == pytest.approx(float(loss), rel=1e-5)
        for blob, grad in zip(KEPT, grads, strict=False):
            np.testing.assert_allclose(executor.diff[blob].numpy(), grad, atol=1e-6)


def test_half_precision_reaches_the_loss_in_single() -> None:
    net = net_of(detector())
    executor = FusedExecutor(net, precision="bf16", keep=("loc",))
    found = executor.forward(feeds(1))
    executor.backward()
    assert found.outputs["loc"].dtype == torch.bfloat16
    assert found.loss.dtype == torch.float32
    whole = FusedExecutor(net_of(detector())).forward(feeds(1))
    assert float(found.loss) == pytest.approx(float(whole.loss), rel=0.05)
    assert all(grad.isfinite().all() for grad in gradients(net))


def test_a_test_net_needs_no_backward_between_two_batches() -> None:
    net = net_of(detector(), phase="TEST")
    executor = FusedExecutor(net)
    found = [float(executor.forward(feeds(seed)).loss) for seed in (1, 2, 1)]
    assert found[0] == found[2] != found[1]


def test_debug_info_names_the_loss_and_its_heads() -> None:
    said: list[str] = []
    executor = DebugExecutor(net_of(detector(links=AS_PUBLISHED)), lambda line: said.append(line.text))
    executor.forward(feeds(1))
    executor.backward()
    text = "\n".join(said)
    assert "[Forward] Layer mbox_loss, top blob mbox_loss data: " in text
    assert "[Backward] Layer mbox_loss, bottom blob conf diff: " in text
