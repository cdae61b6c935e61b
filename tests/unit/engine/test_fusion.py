"""Which layers run as one, and which must not."""

from __future__ import annotations

import pytest

from caffeflow.engine.fusion import fuse
from tests.support.engine_nets import (
    SMALL,
    convolution,
    images,
    inner_product,
    layer,
    net_of,
    norm,
    softmax_loss,
)


def parts(text: str, *kept: str, phase: str = "TRAIN") -> list[str]:
    net = net_of(text, phase=phase)
    values = [output.value for output in net.outputs] + [net.graph.last(blob) for blob in kept]
    fused = fuse([one for one in net.layers if not one.is_fed], kept=values)
    return ["+".join(one.name for one in part.layers) for part in fused]


HEAD = inner_product("ip", "x", "scores", 5) + softmax_loss("scores")


def block(*layers: str) -> str:
    return images(3, 2, 7, 5) + convolution("conv", "data", "c", 7, 3) + "".join(layers) + HEAD


def test_relu_joins_what_comes_before_it() -> None:
    assert parts(SMALL) == ["conv1+relu1", "pool1", "ip1+relu2", "ip2", "accuracy", "loss"]


@pytest.mark.parametrize("phase", ["TRAIN", "TEST"])
def test_norm_scale_and_relu_are_one(phase: str) -> None:
    text = block(norm("n", "c", "n"), layer("relu", "ReLU", "n", "x"))
    assert parts(text, phase=phase)[:2] == ["conv", "n+n/scale+relu"]


def test_a_blob_asked_for_is_not_fused_away() -> None:
    text = block(norm("n", "c", "n"), layer("relu", "ReLU", "n", "x"))
    assert parts(text, "c")[:2] == ["conv", "n+n/scale+relu"]
    assert parts(text, "n")[:3] == ["conv", "n+n/scale", "relu"]


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        # the ReLU's bottom is read by another layer as well
        (
            layer("relu", "ReLU", "c", "r") + layer("sum", "Eltwise", "c r", "x"),
            ["conv", "relu", "sum"],
        ),
        # TanH's gradient needs its top as it was
        (layer("tanh", "TanH", "c", "t") + layer("relu", "ReLU", "t", "x"), ["conv", "tanh", "relu"]),
        # a slope, a scale by another blob, a scale along another axis, a stopped gradient
        (
            layer("leaky", "ReLU", "c", "x", "relu_param { negative_slope: 0.1 }"),
            ["conv", "leaky"],
        ),
        (
            layer("bn", "BatchNorm", "c", "b")
            + layer("scale", "Scale", "b c", "x", "scale_param { axis: 0 }"),
            ["conv", "bn", "scale"],
        ),
        (
            layer("bn", "BatchNorm", "c", "b") + layer("scale", "Scale", "b", "x", "scale_param { axis: 2 }"),
            ["conv", "bn", "scale"],
        ),
        (
            layer("bn", "BatchNorm", "c", "b") + layer("scale", "Scale", "b", "x", "propagate_down: false"),
            ["conv", "bn", "scale"],
        ),
    ],
)
def test_what_stays_apart(between: str, expected: list[str]) -> None:
    assert parts(block(between))[: len(expected)] == expected
