"""Layers that read several blobs, and layers that make several: joins, factors from elsewhere, cuts."""

from __future__ import annotations

from typing import Any

from tests.support.random_nets.blobs import DrawnBlob, Shape, dims
from tests.support.random_nets.recipes import grows
from tests.support.random_nets.sketch import NothingFits, Sketch


def _partners(sketch: Sketch, blob: DrawnBlob, count: int) -> list[DrawnBlob]:
    """Returns blobs of the same shape; now and then the blob itself, which Caffe splits."""

    def fits(other: DrawnBlob) -> bool:
        return other.shape == blob.shape and (other.name != blob.name or sketch.chance(0.1))

    return [sketch.pick(fits) for _ in range(count)]


@grows("Concat", often=2)
def concat(sketch: Sketch) -> None:
    first = sketch.pick(lambda blob: blob.axes >= 1)
    axis = int(sketch.random.integers(0, first.axes)) if sketch.chance(0.4) or first.axes == 1 else 1

    def fits(blob: DrawnBlob) -> bool:
        return (
            blob.axes == first.axes
            and _without(blob.shape, axis) == _without(first.shape, axis)
            and blob.name != first.name
        )

    bottoms = [first, *(sketch.pick(fits) for _ in range(int(sketch.choose(1, 1, 2))))]
    varied = all(blob.varied for blob in bottoms)
    sketch.add(
        "Concat", bottoms, f"concat_param {{ axis: {axis} }}" if axis != 1 else "", free=True, varied=varied
    )


def _without(shape: Shape, axis: int) -> Shape:
    return shape[:axis] + shape[axis + 1 :]


def _eltwise(sketch: Sketch, operation: str, more: str = "", *, bottoms: int, **facts: Any) -> None:
    first = sketch.pick(lambda blob: blob.axes >= 1)
    joined = [first, *_partners(sketch, first, bottoms - 1)]
    sketch.add("Eltwise", joined, f"eltwise_param {{ operation: {operation} {more} }}", **facts)


@grows("Eltwise sum", often=2)
def eltwise_sum(sketch: Sketch) -> None:
    bottoms = int(sketch.choose(2, 2, 3))
    coefficients = " ".join(f"coeff: {sketch.number(-1, 1)}" for _ in range(bottoms))
    _eltwise(sketch, "SUM", sketch.choose("", coefficients), bottoms=bottoms, free=True, size=3.0)


@grows("Eltwise product")
def eltwise_product(sketch: Sketch) -> None:
    _eltwise(sketch, "PROD", bottoms=int(sketch.choose(2, 2, 3)), size=3.0)


@grows("Eltwise maximum", kinks=True)
def eltwise_maximum(sketch: Sketch) -> None:
    _eltwise(sketch, "MAX", bottoms=int(sketch.choose(2, 3)), free=True)


@grows("factor or offset from a blob")
def second_bottom(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes >= 2)
    axis = int(sketch.random.integers(0, bottom.axes))

    def fits(other: DrawnBlob) -> bool:
        return other.name != bottom.name and other.shape == bottom.shape[axis : axis + other.axes]

    try:
        factor = sketch.pick(fits)
    except NothingFits:
        factor = parameter(sketch, bottom.shape[axis : axis + 1])
    kind = sketch.choose("Scale", "Bias")
    sketch.add(kind, [bottom, factor], f"{kind.lower()}_param {{ axis: {axis} }}", size=bottom.size + 1)


def parameter(sketch: Sketch, shape: Shape) -> DrawnBlob:
    """Adds a blob of its own that learns."""
    (made,) = sketch.add(
        "Parameter",
        (),
        f"parameter_param {{ shape {{ {dims(shape)} }} }}",
        constant=True,
        varied=False,
        handed=True,
    )
    return made


@grows("Parameter beside a blob")
def parameter_beside(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes >= 1 and blob.count <= 300)
    made = parameter(sketch, bottom.shape)
    kind = sketch.choose("Eltwise", "Concat")
    sketch.add(kind, [bottom, made], "concat_param { axis: 0 }" if kind == "Concat" else "", varied=False)


@grows("Slice")
def slice_(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes >= 1 and max(blob.shape) >= 2)
    axes = [axis for axis, size in enumerate(bottom.shape) if size >= 2]
    axis = 1 if 1 in axes and sketch.chance(0.7) else int(sketch.choose(*axes))
    tops = int(sketch.choose(*range(2, min(bottom.shape[axis], 3) + 1)))
    cuts = sorted(sketch.random.choice(range(1, bottom.shape[axis]), tops - 1, replace=False).tolist())
    fields = " ".join([f"axis: {axis}", *(f"slice_point: {cut}" for cut in cuts)])
    weighted = bottom.flows and sketch.chance(0.2)
    weights = " ".join(f"loss_weight: {sketch.choose(0, 0.01, 0.02)}" for _ in range(tops))
    text = f"slice_param {{ {fields} }} {weights if weighted else ''}"
    sketch.add("Slice", [bottom], text, tops=tops, free=not weighted)


@grows("Split")
def split(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes >= 1, counted=True)
    sketch.add("Split", [bottom], tops=int(sketch.choose(2, 3)), positive=bottom.positive)


@grows("Crop")
def crop(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes == 4)
    axis = int(sketch.choose(2, 2, 3))

    def fits(other: DrawnBlob) -> bool:
        return (
            other.axes == 4
            and other.name != bottom.name
            and all(
                mine >= theirs for mine, theirs in zip(bottom.shape[axis:], other.shape[axis:], strict=True)
            )
        )

    try:
        reference = sketch.pick(fits)
    except NothingFits:
        shape = (1, 1, *(max(1, size - int(sketch.random.integers(0, 3))) for size in bottom.shape[2:]))
        reference = sketch.add_input(shape, sketch.random.standard_normal(shape))
    room = [mine - theirs for mine, theirs in zip(bottom.shape[axis:], reference.shape[axis:], strict=True)]
    offsets = " ".join(f"offset: {int(sketch.random.integers(0, free + 1))}" for free in room)
    sketch.add(
        "Crop", [bottom, reference], f"crop_param {{ axis: {axis} {offsets} }}", free=True, size=bottom.size
    )


@grows("BatchReindex", forced=False)
def batch_reindex(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes >= 2)
    rows = int(sketch.choose(2, 3, 5, 7))
    index = sketch.add_input((rows,), sketch.random.integers(0, bottom.shape[0], rows), varied=False)
    sketch.add("BatchReindex", [bottom, index], size=bottom.size, varied=False)


@grows("Filter", forced=False)
def filter_(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes >= 2 and blob.shape[0] >= 2)
    others = [bottom]
    if sketch.chance(0.4):
        others.append(sketch.pick(lambda blob: blob.axes >= 1 and blob.shape[0] == bottom.shape[0]))
    rows = bottom.shape[0]
    chosen = sketch.random.integers(0, 2, rows)
    chosen[int(sketch.random.integers(rows))] = 1
    selector = sketch.add_input((rows,), chosen, varied=False)
    sketch.add("Filter", [*others, selector], tops=len(others), counted=True, varied=False, size=bottom.size)
