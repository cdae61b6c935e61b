"""Layers that change shapes: pooling, pyramids, reductions, reshapes, tiles, positions of maxima."""

from __future__ import annotations

import math
from typing import Final

from tests.support.random_nets.blobs import DrawnBlob, dims
from tests.support.random_nets.recipes import grows
from tests.support.random_nets.sketch import NothingFits, Sketch

_PIECES: Final = (2, 3, 5, 7)


def _is_image(blob: DrawnBlob) -> bool:
    return blob.axes == 4


def _pooling_window(sketch: Sketch, bottom: DrawnBlob) -> str:
    """Returns a window whose places all meet the image, or the whole image."""
    if sketch.chance(0.2):
        return "global_pooling: true"
    sizes = [int(sketch.choose(*range(1, min(size, 4) + 1))) for size in bottom.shape[2:]]
    if sizes[0] != sizes[1]:
        strides = [int(sketch.random.integers(1, size + 1)) for size in sizes]
        pads = [int(sketch.random.integers(0, size)) for size in sizes]
        return (
            f"kernel_h: {sizes[0]} kernel_w: {sizes[1]} stride_h: {strides[0]} stride_w: {strides[1]}"
            f" pad_h: {pads[0]} pad_w: {pads[1]} {sketch.choose('', '', 'round_mode: FLOOR')}"
        )
    stride, pad = int(sketch.random.integers(1, sizes[0] + 1)), int(sketch.random.integers(0, sizes[0]))
    return f"kernel_size: {sizes[0]} stride: {stride} pad: {pad} {sketch.choose('', '', 'round_mode: FLOOR')}"


@grows("Pooling, average")
def average_pooling(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: _is_image(blob) and not blob.centred)
    sketch.add(
        "Pooling", [bottom], f"pooling_param {{ pool: AVE {_pooling_window(sketch, bottom)} }}", free=True
    )


@grows("Pooling, maximum", kinks=True)
def maximum_pooling(sketch: Sketch) -> None:
    bottom = sketch.pick(_is_image)
    window = _pooling_window(sketch, bottom)
    if not bottom.varied or sketch.chance(0.7):  # positions of equal values are chance
        sketch.add("Pooling", [bottom], f"pooling_param {{ {window} }}", free=True)
        return
    _, mask = sketch.add("Pooling", [bottom], f"pooling_param {{ {window} }}", tops=2)
    sketch.mark(mask, flows=False, size=float(math.prod(bottom.shape[2:])))


def _add_pyramid(sketch: Sketch, pool: str) -> None:
    bottom = sketch.pick(lambda blob: _is_image(blob) and not blob.centred and min(blob.shape[2:]) >= 4)
    sketch.add("SPP", [bottom], f"spp_param {{ pyramid_height: {sketch.choose(1, 2, 2)} pool: {pool} }}")


@grows("SPP of averages")
def average_pyramid(sketch: Sketch) -> None:
    _add_pyramid(sketch, "AVE")


@grows("SPP of maxima", kinks=True)
def maximum_pyramid(sketch: Sketch) -> None:
    _add_pyramid(sketch, "MAX")


def _reduce(sketch: Sketch, operation: str) -> None:
    bottom = sketch.pick(lambda blob: blob.axes >= 2 and not blob.centred)
    axis = int(sketch.random.integers(1, bottom.axes))
    reduced = math.prod(bottom.shape[axis:])
    coefficient = sketch.number(0.3, 1.5) / (1 if operation == "MEAN" else reduced)
    fields = f"operation: {operation} axis: {axis} coeff: {coefficient:.4g}"
    sketch.add("Reduction", [bottom], f"reduction_param {{ {fields} }}", free=operation in ("SUM", "MEAN"))


@grows("Reduction")
def reduction(sketch: Sketch) -> None:
    _reduce(sketch, sketch.choose("SUM", "MEAN", "SUMSQ"))


@grows("Reduction of absolute values", kinks=True)
def absolute_reduction(sketch: Sketch) -> None:
    _reduce(sketch, "ASUM")


@grows("Flatten")
def flatten(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes >= 3 and not blob.handed)
    fields = sketch.choose("", "", "flatten_param { axis: 1 end_axis: 2 }", "flatten_param { axis: 2 }")
    sketch.add("Flatten", [bottom], fields, positive=bottom.positive)


@grows("Reshape")
def reshape(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes >= 2)
    rest = bottom.count // bottom.shape[0]
    factor = next((piece for piece in _PIECES if rest % piece == 0), 1)
    shapes = ["dim: 0 dim: -1"]
    if factor > 1:
        shapes += [f"dim: 0 dim: {factor} dim: -1 dim: 1", f"dim: 0 dim: -1 dim: {factor}"]
    fields = f"shape {{ {sketch.choose(*shapes)} }}"
    if sketch.chance(0.2):
        fields = "shape { dim: 1 } axis: 1 num_axes: 0"
    sketch.add("Reshape", [bottom], f"reshape_param {{ {fields} }}", positive=bottom.positive, handed=True)


@grows("Reshape to a row of streams")
def to_streams(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes == 2 and blob.count <= 200)
    sketch.add(
        "Reshape", [bottom], f"reshape_param {{ shape {{ dim: 1 {dims(bottom.shape)} }} }}", handed=True
    )


@grows("Tile")
def tile(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes >= 2 and blob.count <= 800)
    axis = int(sketch.random.integers(0, bottom.axes))
    sketch.add(
        "Tile",
        [bottom],
        f"tile_param {{ axis: {axis} tiles: {sketch.choose(2, 3)} }}",
        free=True,
        constant=True,
    )


@grows("ArgMax", forced=False)
def argmax(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes >= 2 and blob.shape[1] >= 2 and blob.varied)
    if bottom.learns and sketch.chance(0.5):  # nothing more can come of its top then
        raise NothingFits
    fields = f"top_k: {sketch.choose(1, 2)} out_max_val: {sketch.choose('true', 'false')}"
    fields += sketch.choose("", " axis: 1")
    largest = float(max(bottom.size, bottom.count // bottom.shape[0]))
    flows = bottom.flows and not bottom.learns
    sketch.add("ArgMax", [bottom], f"argmax_param {{ {fields} }}", varied=False, flows=flows, size=largest)
