"""Layers that divide by what they measure: only over blobs whose values differ by far more than rounding."""

from __future__ import annotations

from typing import Final

from tests.support.random_nets.blobs import DrawnBlob
from tests.support.random_nets.elementwise import apply_to
from tests.support.random_nets.recipes import grows
from tests.support.random_nets.sketch import Sketch

_ENOUGH: Final = 12
"""Of fewer numbers, some channels would be nearly equal, and dividing by their deviation blow up rounding."""


def _per_channel(blob: DrawnBlob) -> int:
    return blob.count // blob.shape[1]


@grows("BatchNorm", often=2)
def batch_norm(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes >= 2 and blob.varied and _per_channel(blob) >= _ENOUGH)
    given = sketch.choose("", "", "use_global_stats: true", "use_global_stats: false")
    fields = (
        f"{given} eps: {sketch.choose('1e-05', 0.001)} moving_average_fraction: {sketch.choose(0.9, 0.999)}"
    )
    frozen = sketch.choose("", "param { lr_mult: 0 } " * 3)
    apply_to(
        sketch,
        bottom,
        "BatchNorm",
        f"batch_norm_param {{ {fields} }} {frozen}",
        free=True,
        size=2.0,
        centred=True,
    )


@grows("MVN")
def mvn(sketch: Sketch) -> None:
    bottom = sketch.pick(
        lambda blob: blob.axes == 4 and blob.varied and blob.shape[2] * blob.shape[3] >= _ENOUGH
    )
    fields = f"normalize_variance: {sketch.choose('true', 'false')} across_channels: {sketch.choose('true', 'false')}"
    sketch.add("MVN", [bottom], f"mvn_param {{ {fields} }}", size=2.0, centred=True)


@grows("LRN")
def lrn(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes == 4)
    fields = (
        f"local_size: {sketch.choose(3, 5)} alpha: {sketch.number(0.05, 1)} beta: {sketch.choose(0.75, 0.5)}"
    )
    if min(bottom.shape[2:]) >= 3 and sketch.chance(0.4):
        fields += " norm_region: WITHIN_CHANNEL"
    else:
        fields += f" k: {sketch.choose(1, 2)}"
    sketch.add("LRN", [bottom], f"lrn_param {{ {fields} }}")


@grows("Scale", often=2)
def scale(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes >= 2)
    axis = int(sketch.choose(1, 1, 0, bottom.axes - 1))
    axes = int(sketch.choose(1, 1, 0, -1)) if axis else int(sketch.choose(1, 0))
    fields = f'axis: {axis} num_axes: {axes} filler {{ type: "uniform" min: 0.5 max: 1.5 }}'
    if sketch.chance(0.5):
        fields += ' bias_term: true bias_filler { type: "uniform" min: -0.5 max: 0.5 }'
    apply_to(sketch, bottom, "Scale", f"scale_param {{ {fields} }}", free=True, size=bottom.size + 0.5)


@grows("Bias")
def bias(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes >= 2)
    axis = int(sketch.choose(1, 1, 0, bottom.axes - 1))
    axes = int(sketch.choose(1, 1, 0, -1)) if axis else 1
    fields = f'axis: {axis} num_axes: {axes} filler {{ type: "uniform" min: -0.5 max: 0.5 }}'
    apply_to(sketch, bottom, "Bias", f"bias_param {{ {fields} }}", free=True, size=bottom.size + 0.5)
