"""Nets of detection in both executors: heads, tops with varying rows, two layers of one name."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffeflow.engine.net import Net
from caffeflow.engine.stepwise import StepwiseExecutor
from caffeflow.engine.training import FusedExecutor
from tests.support.engine_nets import convolution, layer, net_of, norm
from tests.support.oracles.detection_evaluate import evaluate

CLASSES = 3


def inputs(**shapes: tuple[int, ...]) -> str:
    return "".join(
        layer(
            name, "Input", "", name, "input_param { shape { " + " ".join(f"dim: {d}" for d in shape) + " } }"
        )
        for name, shape in shapes.items()
    )


def head(name: str, bottom: str, values: int) -> str:
    """A convolution whose channels become the last axis, then one row an image."""
    return (
        convolution(name, bottom, name, values, 3, "pad: 1")
        + layer(f"{name}_perm", "Permute", name, f"{name}_perm", "permute_param { order: [0, 2, 3, 1] }")
        + layer(f"{name}_flat", "Flatten", f"{name}_perm", f"{name}_flat", "flatten_param { axis: 1 }")
    )


def priors(name: str, bottom: str, settings: str) -> str:
    return layer(name, "PriorBox", f"{bottom} data", name, f"prior_box_param {{ {settings} }}")


HEADS = (
    inputs(data=(2, 3, 22, 14))
    + convolution("conv1", "data", "conv1", 7, 3, "stride: 2 pad: 1 bias_term: false")
    + norm("conv1/bn", "conv1", "conv1")
    + layer("conv1/relu", "ReLU6", "conv1", "conv1")
    + layer("conv1_norm", "Normalize", "conv1", "conv1_norm", "norm_param { across_spatial: false channel_shared: false }")
    + convolution("conv2", "conv1", "conv2", 5, 3, "stride: 2 pad: 1")
    + head("loc1", "conv1_norm", 2 * 4)
    + head("loc2", "conv2", 3 * 4)
    + head("conf1", "conv1_norm", 2 * CLASSES)
    + head("conf2", "conv2", 3 * CLASSES)
    + priors("prior1", "conv1", "min_size: 5 max_size: 9")
    + priors("prior2", "conv2", "min_size: 9 aspect_ratio: 2")
    + layer("loc", "Concat", "loc1_flat loc2_flat", "loc")
    + layer("conf", "Concat", "conf1_flat conf2_flat", "conf")
    + layer("priors", "Concat", "prior1 prior2", "priors", "concat_param { axis: 2 }")
)  # fmt: skip
SCORES = (
    layer("scores", "Reshape", "conf", "scores", f"reshape_param {{ shape {{ dim: 0 dim: -1 dim: {CLASSES} }} }}")
    + layer("softmax", "Softmax", "scores", "softmax", "softmax_param { axis: 2 }")
    + layer("flat", "Flatten", "softmax", "flat", "flatten_param { axis: 1 }")
    + layer(
        "detections",
        "DetectionOutput",
        "loc flat priors",
        "detections",
        f"detection_output_param {{ num_classes: {CLASSES} code_type: CENTER_SIZE keep_top_k: 50"
        " nms_param { nms_threshold: 0.45 top_k: 30 } confidence_threshold: 0.3 }",
    )
)  # fmt: skip


def loss(values: int) -> str:
    return (
        inputs(wanted=(2, values))
        + layer("far", "SmoothL1Loss", "loc wanted", "far", "loss_weight: 0.5")
        + layer(
            "energy", "Reduction", "conf", "energy", "reduction_param { operation: SUMSQ } loss_weight: 0.01"
        )
    )


def images(seed: int = 0) -> dict[str, tuple[torch.Tensor, ...]]:
    return {"data": (torch.from_numpy(np.random.default_rng(seed).normal(size=(2, 3, 22, 14)).astype("f4")),)}


def test_heads_give_the_same_detections_in_both() -> None:
    net = net_of(HEADS + SCORES, phase="TEST")
    found = {
        (kind, last): executor.forward(images()).outputs["detections"]
        for kind, last, executor in (
            ("fused", True, FusedExecutor(net, channels_last=True)),
            ("fused", False, FusedExecutor(net, channels_last=False)),
            ("stepwise", False, StepwiseExecutor(net)),
        )
    }
    first = found["stepwise", False]
    assert first.shape[2] > 20, "too few detections to compare"
    for other in found.values():
        torch.testing.assert_close(other, first, rtol=1e-4, atol=1e-5)


def test_priors_follow_the_order_of_the_heads_values() -> None:
    """The k-th box of place (y, x) is at (y * W + x) * boxes + k in loc, conf and priors alike."""
    net = net_of(HEADS, phase="TEST")
    kept = FusedExecutor(net, channels_last=True, keep=["loc2", "loc2_flat"]).forward(images()).outputs
    loc, flat = kept["loc2"], kept["loc2_flat"]
    _, channels, height, width = loc.shape
    for y, x, k, c in np.ndindex(height, width, channels // 4, 4):
        place = ((y * width + x) * (channels // 4) + k) * 4 + c
        assert flat[1, place] == loc[1, 4 * k + c, y, x]


@pytest.mark.parametrize("channels_last", [False, True])
def test_gradients_through_permute_and_concat_agree(channels_last: bool) -> None:
    (shape,) = (shape for value, shape in net_of(HEADS).shapes.tops.items() if value.blob == "loc")
    text = HEADS + loss(shape[1])
    fused, stepwise = net_of(text), net_of(text)
    feeds = images() | {"wanted": (torch.zeros(shape),)}
    grads = []
    for net, executor in (
        (fused, FusedExecutor(fused, channels_last=channels_last)),
        (stepwise, StepwiseExecutor(stepwise)),
    ):
        executor.forward(feeds)
        executor.backward()
        grads.append({(b.layer, b.index): b.tensors[0].grad for b in net.learned})
    assert list(grads[0]) == list(grads[1])
    for key, wanted in grads[1].items():
        if wanted is not None:
            torch.testing.assert_close(
                grads[0][key], wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max())
            )


def test_permute_of_channels_last_memory_is_a_view() -> None:
    net = net_of(
        inputs(data=(2, 3, 5, 7))
        + layer("p", "Permute", "data", "p", "permute_param { order: [0, 2, 3, 1] }")
    )
    x = torch.randn(2, 3, 5, 7).contiguous(memory_format=torch.channels_last)
    top = net.layers[-1].module(x)
    assert isinstance(top, torch.Tensor)
    assert top.is_contiguous()
    assert top.data_ptr() == x.data_ptr()
    assert top.reshape(2, -1).data_ptr() == x.data_ptr()


EVALUATED = (
    inputs(loc=(2, 11 * 4), conf=(2, 11 * CLASSES), priors=(1, 2, 11 * 4), truth=(1, 1, 1, 8))
    + layer("detections", "DetectionOutput", "loc conf priors", "detections",
            f"detection_output_param {{ num_classes: {CLASSES} confidence_threshold: 0.5 }}")
    + layer("status", "DetectionEvaluate", "detections truth", "status",
            f"detection_evaluate_param {{ num_classes: {CLASSES} }}")
)  # fmt: skip


def evaluated_batch(seed: int, boxes: int, scores: float) -> dict[str, tuple[torch.Tensor, ...]]:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 0.6, (11, 2))
    priors = np.stack((np.concatenate((corners, corners + 0.3), 1).ravel(), np.full(44, 0.1)))
    truth = np.zeros((boxes, 8))
    truth[:, 0], truth[:, 1] = np.sort(rng.integers(0, 2, boxes)), rng.integers(1, CLASSES, boxes)
    truth[:, 3:7] = np.concatenate((corners, corners + 0.3), 1)[:boxes]
    values = {
        "loc": rng.normal(0, 0.3, (2, 44)),
        "conf": rng.uniform(0, scores, (2, 11 * CLASSES)),
        "priors": priors[None],
        "truth": truth[None, None],
    }
    return {name: (torch.from_numpy(value.astype(np.float32)),) for name, value in values.items()}


def executors(net: Net) -> list[FusedExecutor | StepwiseExecutor]:
    return [
        FusedExecutor(net, channels_last=True, keep=["detections"]),
        StepwiseExecutor(net),
        StepwiseExecutor(net, gradients=True),
    ]


@pytest.mark.parametrize("number", range(3))
def test_rows_vary_from_batch_to_batch(number: int) -> None:
    net = net_of(EVALUATED, phase="TEST")
    executor = executors(net)[number]
    shapes = set()
    for seed, boxes, scores in ((1, 5, 1.0), (2, 1, 0.4), (3, 11, 0.8), (4, 2, 1.0)):
        feeds = evaluated_batch(seed, boxes, scores)
        outputs = executor.forward(feeds).outputs
        detections = outputs.get("detections", getattr(executor, "data", {}).get("detections"))
        assert detections is not None
        shapes.add(tuple(detections.shape))
        if scores == 0.4:
            assert detections.shape == (1, 1, 2, 7)
            assert detections[0, 0, :, 1:].eq(-1).all()
        expected = evaluate(detections.double().numpy(), feeds["truth"][0].double().numpy(), classes=CLASSES)
        np.testing.assert_allclose(outputs["status"].numpy(), expected, atol=1e-6)
    assert len(shapes) == 4


def test_an_empty_batch_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    executor = FusedExecutor(net_of(EVALUATED, phase="TEST"))
    with caplog.at_level("INFO"):
        executor.forward(evaluated_batch(2, 1, 0.4))
    assert "Couldn't find any detections" in caplog.text


# How the published nets pad as TensorFlow does: by 2, then the first row and column are cut off.
CUT = (
    inputs(data=(1, 3, 8, 6))
    + convolution("conv", "data", "conv/pad", 5, 3, "stride: 2 pad: 2")
    + layer("slice", "Slice", "conv/pad", "margin1 tmp", "slice_param { axis: 2 slice_point: 1 }")
    + layer("slice", "Slice", "tmp", "margin2 conv", "slice_param { axis: 3 slice_point: 1 }")
    + layer("relu", "ReLU6", "conv", "conv")
    + convolution("next", "conv", "next", 2, 3)
)
END_PADDED = (
    inputs(data=(1, 3, 8, 6))
    + convolution("conv", "data", "conv", 5, 3, "stride: 2 pad: 1 tf_pad: SAME")
    + layer("relu", "ReLU6", "conv", "conv")
    + convolution("next", "conv", "next", 2, 3)
)


@pytest.mark.parametrize("kind", [FusedExecutor, StepwiseExecutor])
def test_two_layers_of_one_name_run_and_equal_tf_pad(kind: type) -> None:
    cut, padded = net_of(CUT, phase="TEST"), net_of(END_PADDED, phase="TEST")
    plan = padded.load(cut.arrays())
    assert [name for name, _ in plan.copied] == ["conv", "next"]
    feeds = {"data": (torch.randn(1, 3, 8, 6),)}
    ours, theirs = kind(cut).forward(feeds).outputs, kind(padded).forward(feeds).outputs
    assert list(ours) == ["margin1", "margin2", "next"]
    assert ours["next"].shape == theirs["next"].shape == (1, 2, 2, 1)
    torch.testing.assert_close(ours["next"], theirs["next"])


def test_two_layers_of_one_name_train_save_and_come_back() -> None:
    net = net_of(CUT.replace("dim: 1 dim: 3", "dim: 2 dim: 3")
                 + layer("energy", "Reduction", "next", "energy", "reduction_param { operation: SUMSQ } loss_weight: 1"))  # fmt: skip
    executor = FusedExecutor(net)
    executor.forward({"data": (torch.randn(2, 3, 8, 6),)})
    executor.backward()
    assert all(blob.tensors[0].grad is not None and blob.tensors[0].grad.any() for blob in net.learned)
    arrays = net.arrays()
    assert [each.name for each in arrays].count("slice") == 2
    fresh = net_of(CUT, seed=5)
    assert not fresh.load(arrays).skipped
    for mine, other in zip(fresh.arrays(), arrays, strict=False):
        for left, right in zip(mine.arrays, other.arrays, strict=True):
            np.testing.assert_array_equal(left, right)
    fresh.share(net)
