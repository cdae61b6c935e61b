"""Battery cases of the activations and of the arithmetic on each element, with values on their kinks."""

from __future__ import annotations

import numpy as np

from tests.support.layer_battery import Case
from tests.support.oracles import activations as formulas

SHAPE = (2, 3, 5, 7)

KINKS = np.array([[-7.0, -0.5, 0.0, 2.0, 3.0], [6.0, 6.5, -1.0, 5.0, 1.0], [0.25, -2.0, 0.0, 6.0, 11.0]])
"""Values below, on and above the bounds 0, 6, -1 and 3."""


def case(layer_type, function, *, settings="", name="", bottom=SHAPE, **fields):
    return Case(
        id=f"{layer_type.lower()}{name and '-'}{name}",
        prototxt=f'type: "{layer_type}" {settings}',
        bottoms=[bottom],
        oracle=lambda xs, blobs: function(xs[0], *blobs),
        **fields,
    )


def kinked(layer_type, function, gradient, *, settings="", name="kinks", in_place=False):
    return case(
        layer_type,
        function,
        settings=settings,
        name=name,
        bottom=KINKS,
        in_place=in_place,
        gradient=lambda xs, _, diffs: [gradient(xs[0], diffs[0])],
    )


CLIP = "clip_param { min: -1 max: 3 }"
SLOPE = "relu_param { negative_slope: 0.25 }"


def clip(x):
    return formulas.clip(x, -1, 3)


CASES = [
    case("ReLU", formulas.relu),
    case("ReLU", formulas.relu, name="one-row", bottom=(1, 7)),
    case("ReLU", formulas.relu, name="in-place", in_place=True),
    kinked("ReLU", formulas.relu, formulas.relu_gradient),
    kinked(
        "ReLU",
        lambda x: formulas.relu(x, 0.25),
        lambda x, dy: formulas.relu_gradient(x, dy, 0.25),
        settings=SLOPE,
        name="slope",
    ),
    case("ReLU6", lambda x: formulas.clip(x, 0, 6)),
    kinked("ReLU6", lambda x: formulas.clip(x, 0, 6), formulas.relu6_gradient),
    case("Clip", clip, settings=CLIP),
    kinked("Clip", clip, lambda x, dy: formulas.clip_gradient(x, dy, -1, 3), settings=CLIP),
    # In place Caffe compares the clipped values with the bounds, so nothing is held back.
    kinked("Clip", clip, lambda _, dy: dy, settings=CLIP, name="in-place", in_place=True),
    case("PReLU", formulas.prelu, names=("slope",)),
    case(
        "PReLU",
        formulas.prelu,
        settings="prelu_param { channel_shared: true }",
        name="shared",
        names=("slope",),
        bottom=(5, 3),
    ),
    case("ELU", formulas.elu),
    case("ELU", lambda x: formulas.elu(x, 0.375), settings="elu_param { alpha: 0.375 }", name="alpha"),
    case("Sigmoid", formulas.sigmoid),
    case("TanH", formulas.tanh, in_place=True),
    case("Swish", formulas.swish),
    case("Swish", lambda x: formulas.swish(x, 1.75), settings="swish_param { beta: 1.75 }", name="beta"),
    case("BNLL", formulas.bnll),
    case("BNLL", formulas.bnll, name="large", bottom=np.array([[-90.0, -30.0, 0.0], [19.0, 30.0, 60.0]])),
    case("AbsVal", lambda x: formulas.each(abs, x)),
    kinked("AbsVal", lambda x: formulas.each(abs, x), lambda x, dy: np.sign(x) * dy),
    case("Power", formulas.power),
    case(
        "Power",
        lambda x: formulas.power(x, 3.0, 0.5, 0.25),
        settings="power_param { power: 3 scale: 0.5 shift: 0.25 }",
        name="cube",
    ),
    case(
        "Power",
        lambda x: formulas.power(x, -0.5, 0.5, 0.25),
        settings="power_param { power: -0.5 scale: 0.5 shift: 0.25 }",
        name="root",
        bottom=np.linspace(0.1, 3, 15).reshape(3, 5),
    ),
    case(
        "Power",
        lambda x: formulas.power(x, 0.0),
        settings="power_param { power: 0 }",
        name="zero",
        gradient=None,
    ),
    case(
        "Power",
        lambda x: formulas.power(x, 2.0, 0.0, 3.0),
        settings="power_param { power: 2 scale: 0 shift: 3 }",
        name="constant",
        gradient=None,
    ),
    case("Exp", formulas.exponential),
    case(
        "Exp",
        lambda x: formulas.exponential(x, 2.0, 0.5, 1.5),
        settings="exp_param { base: 2 scale: 0.5 shift: 1.5 }",
        name="base-2",
    ),
    case("Log", formulas.logarithm, bottom=np.linspace(0.1, 3, 15).reshape(3, 5)),
    case(
        "Log",
        lambda x: formulas.logarithm(x, 10.0, 0.5, 1.5),
        settings="log_param { base: 10 scale: 0.5 shift: 1.5 }",
        name="base-10",
        bottom=np.linspace(0.1, 3, 15).reshape(3, 5),
    ),
    case("Threshold", formulas.threshold, bottom=KINKS, gradient=None),
    case(
        "Threshold",
        lambda x: formulas.threshold(x, 2.0),
        settings="threshold_param { threshold: 2 }",
        name="two",
        bottom=KINKS,
        gradient=None,
    ),
]
