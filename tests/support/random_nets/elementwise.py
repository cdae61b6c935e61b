"""Layers that compute value by value: activations and arithmetic, in place where Caffe's results hold.

A layer works in place only over a blob that its maker does not need any more for its own gradient; where it
does, Caffe's gradients are wrong, and nets that are right do not do it.
"""

from __future__ import annotations

from typing import Any, Final

from tests.support.random_nets.blobs import DrawnBlob
from tests.support.random_nets.recipes import grows
from tests.support.random_nets.sketch import Sketch

_PASSES_DOWN: Final = frozenset({"BatchNorm", "MVN", "Softmax"})
"""Types that give their bottom a gradient whatever `propagate_down` says, in Caffe."""

_KEEPS_CENTRED: Final = frozenset({"Dropout", "Power", "Scale"})


def _apply(sketch: Sketch, kind: str, text: str, *, may: bool = True, free: bool, **facts: Any) -> None:
    """Adds an elementwise layer over some blob.

    Args:
        sketch: The net.
        kind: The type.
        text: Its settings.
        may: It may work in place.
        free: A later layer may overwrite its top when it has a top of its own.
        facts: What is known of the top.
    """
    bottom = sketch.pick(_has_values, counted=True)
    apply_to(sketch, bottom, kind, text, may=may, free=free, **facts)


def apply_to(
    sketch: Sketch, bottom: DrawnBlob, kind: str, text: str, *, may: bool = True, free: bool, **facts: Any
) -> None:
    """Adds an elementwise layer over this blob; see `_apply`."""
    in_place = may and bottom.free and bottom.name in sketch.unread and sketch.chance(0.6)
    facts.setdefault("centred", bottom.centred and kind in _KEEPS_CENTRED)
    if sketch.chance(0.06) and not in_place and kind not in _PASSES_DOWN:
        text += " propagate_down: " + sketch.choose("false", "true")
    sketch.add(kind, [bottom], text, in_place=in_place, free=free and not in_place, **facts)


def _has_values(blob: DrawnBlob) -> bool:
    return blob.axes > 0


def _is_positive(blob: DrawnBlob) -> bool:
    return blob.positive and blob.axes > 0


@grows("AbsVal", kinks=True)
def absval(sketch: Sketch) -> None:
    _apply(sketch, "AbsVal", "", may=False, free=True)


@grows("ReLU", kinks=True, often=2)
def relu(sketch: Sketch) -> None:
    slope = sketch.choose("", "", f"relu_param {{ negative_slope: {sketch.number(0.05, 0.5)} }}")
    _apply(sketch, "ReLU", slope, free=True, varied=bool(slope))


@grows("ELU", kinks=True)
def elu(sketch: Sketch) -> None:
    _apply(sketch, "ELU", f"elu_param {{ alpha: {sketch.number(0.5, 1.5)} }}", free=False)


@grows("Clip", kinks=True)
def clip(sketch: Sketch) -> None:
    low, high = sketch.number(-1, -0.3), sketch.number(0.3, 1)
    _apply(sketch, "Clip", f"clip_param {{ min: {low} max: {high} }}", free=True, size=1.0, varied=False)


@grows("Sigmoid")
def sigmoid(sketch: Sketch) -> None:
    bottom = sketch.pick(_has_values, counted=True)
    apply_to(sketch, bottom, "Sigmoid", "", free=False, size=1.0, positive=bottom.size <= 2)


@grows("TanH")
def tanh(sketch: Sketch) -> None:
    _apply(sketch, "TanH", "", free=False, size=1.0)


@grows("Swish")
def swish(sketch: Sketch) -> None:
    _apply(sketch, "Swish", f"swish_param {{ beta: {sketch.number(0.5, 2)} }}", may=False, free=False)


@grows("BNLL")
def bnll(sketch: Sketch) -> None:
    bottom = sketch.pick(_has_values, counted=True)
    apply_to(sketch, bottom, "BNLL", "", may=False, free=True, positive=bottom.size <= 2)


@grows("Dropout")
def dropout(sketch: Sketch) -> None:
    phase = "" if sketch.phase == "TEST" else "phase: TEST"
    ratio = f"dropout_param {{ dropout_ratio: {sketch.number(0.1, 0.9)} }}"
    _apply(sketch, "Dropout", f"{phase} {sketch.choose('', ratio)}", free=True)


@grows("Exp")
def exp(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: _has_values(blob) and blob.size <= 3)
    scale, shift = sketch.number(0.3, 0.8) / bottom.size, sketch.number(-0.5, 0.5)
    base = sketch.choose("", "base: 2", "base: 10") if bottom.size < 1.5 else ""
    text = f"exp_param {{ {base} scale: {scale:.4g} shift: {shift} }}"
    apply_to(sketch, bottom, "Exp", text, may=False, free=False, size=3.0, positive=True)


@grows("Log")
def log(sketch: Sketch) -> None:
    base = sketch.choose("", "base: 2", "base: 10")
    text = f"log_param {{ {base} scale: {sketch.number(0.5, 2)} shift: {sketch.number(0, 0.5)} }}"
    bottom = sketch.pick(_is_positive)
    apply_to(sketch, bottom, "Log", text, may=False, free=True, size=2.0)


@grows("Power")
def power(sketch: Sketch) -> None:
    bottom = sketch.pick(_has_values, counted=True)
    scale = sketch.number(-1, 1) / max(1.0, bottom.size)
    settings = f"scale: {scale:.4g} shift: {sketch.number(-0.5, 0.5)} {sketch.choose('power: 2', '', '')}"
    apply_to(sketch, bottom, "Power", f"power_param {{ {settings} }}", may=False, free=False, size=1.5)


@grows("Power of fractions")
def broken_power(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: _is_positive(blob) and blob.size <= 3)
    power = sketch.choose(0.5, 1.5, -0.5, 3)
    settings = f"power: {power} scale: {sketch.number(0.4, 1)} shift: {sketch.number(0.1, 0.4)}"
    apply_to(
        sketch,
        bottom,
        "Power",
        f"power_param {{ {settings} }}",
        may=False,
        free=False,
        size=3.0,
        positive=True,
    )


@grows("Threshold", forced=False)
def threshold(sketch: Sketch) -> None:
    bottom = sketch.pick(_has_values, counted=True)
    text = f"threshold_param {{ threshold: {sketch.number(-0.5, 0.5)} }}"
    sketch.add(
        "Threshold",
        [bottom],
        text,
        size=1.0,
        varied=False,
        constant=True,
        flows=bottom.flows and not bottom.learns,
    )


@grows("PReLU", kinks=True)
def prelu(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: 2 <= blob.axes <= 4)  # Caffe's PReLU knows no more
    shared = sketch.choose("", "channel_shared: true")
    text = f'prelu_param {{ {shared} filler {{ type: "uniform" min: 0.1 max: 0.5 }} }}'
    apply_to(sketch, bottom, "PReLU", text, free=True)


@grows("Softmax")
def softmax(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes >= 2 and 2 <= blob.shape[1] <= 30)
    axis = int(sketch.choose(1, 1, bottom.axes - 1))
    text = f"softmax_param {{ axis: {axis} }}" if axis != 1 or sketch.chance(0.3) else ""
    apply_to(sketch, bottom, "Softmax", text, free=False, size=1.0, probabilities=axis == 1, varied=False)


@grows("loss weight on an ordinary layer")
def weighted(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes > 0 and blob.flows)
    kind = sketch.choose("TanH", "Sigmoid", "BNLL")
    weight = sketch.number(0.01, 1) / bottom.count
    sketch.add(kind, [bottom], f"loss_weight: {weight:.4g}")
