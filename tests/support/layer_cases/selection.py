"""Battery cases of Tile, Crop, BatchReindex, Filter, Embed, Parameter and Im2col."""

from __future__ import annotations

import numpy as np

from tests.support.layer_battery import Case
from tests.support.oracles import selection

SHAPE = (2, 3, 5, 7)


def case(layer_type, name, settings, bottoms, oracle, **fields):
    return Case(
        id=f"{layer_type.lower()}-{name}",
        prototxt=f'type: "{layer_type}" {settings}',
        bottoms=bottoms,
        oracle=oracle,
        **fields,
    )


def tile(name, settings, bottom, **arguments):
    text = f"tile_param {{ {settings} }}"
    larger = arguments["axis"] != 0
    return case(
        "Tile", name, text, [bottom], lambda xs, _: selection.tile(xs[0], **arguments), larger_batch=larger
    )


TILE = [
    tile("channels", "tiles: 3", (2, 3, 5), axis=1, tiles=3),
    tile("last-axis", "axis: -1 tiles: 2", SHAPE, axis=3, tiles=2),
    tile("rows", "axis: 0 tiles: 5", (2, 3), axis=0, tiles=5),
    tile("once", "tiles: 1", SHAPE, axis=1, tiles=1),
]


def crop(name, settings, bottoms, *, axis, offsets):
    return case(
        "Crop",
        name,
        f"crop_param {{ {settings} }}",
        bottoms,
        lambda xs, _: selection.crop(*xs, axis=axis, offsets=offsets),
        differentiable=(0,),
        larger_batch=axis > 0,
    )


CROP = [
    crop("plain", "", [(2, 3, 7, 11), (2, 5, 5, 7)], axis=2, offsets=(0, 0)),
    crop("one-offset", "offset: 2", [(2, 3, 7, 11), (2, 5, 5, 7)], axis=2, offsets=(2, 2)),
    crop("offsets", "offset: 1 offset: 3", [(2, 3, 7, 11), (2, 5, 5, 7)], axis=2, offsets=(1, 3)),
    crop("channels", "axis: 1 offset: 1", [(2, 5, 7), (2, 3, 5)], axis=1, offsets=(1, 1)),
    crop("all-axes", "axis: 0 offset: [1, 0, 2]", [(3, 5, 7), (2, 3, 5)], axis=0, offsets=(1, 0, 2)),
    crop("last-axis", "axis: -1 offset: 2", [(2, 3, 7), (2, 3, 5)], axis=2, offsets=(2,)),
]

ROWS = np.array([2.0, 0, 2, 1, 2.75])
BATCH_REINDEX = [
    case(
        "BatchReindex",
        name,
        "",
        [bottom, rows],
        lambda xs, _: selection.reindexed(*xs),
        gradient=lambda xs, _, diffs: [selection.reindexed_gradient(*xs, diffs[0])],
        differentiable=(0,),
        larger_batch=len(bottom) > 2,
    )
    for name, bottom, rows in (("maps", (5, 2, 3), ROWS), ("fewer", (3, 7), ROWS[:2]))
]

SELECTOR = np.array([0.0, 1, 0, 1, -2])
FILTER = [
    case(
        "Filter",
        name,
        "",
        [*bottoms, selector],
        lambda xs, _: [selection.filtered(x, xs[-1]) for x in xs[:-1]],
        gradient=lambda xs, _, diffs: [
            selection.filtered_gradient(x, xs[-1], dy) for x, dy in zip(xs[:-1], diffs, strict=True)
        ],
        differentiable=tuple(range(len(bottoms))),
        tops=len(bottoms),
        varying_axis=0,
    )
    for name, bottoms, selector in (
        ("one", [(5, 2, 3)], SELECTOR),
        ("two", [(5, 2, 3, 7), (5,)], SELECTOR.reshape(5, 1, 1, 1)),
        ("all", [(5, 2)], np.ones(5)),
    )
]

EMBED_VALUES = np.array([[0.0, 4, 2], [2, 2.9, 1]])


def embed(name, settings, values, *, names=("weight", "bias")):
    return case(
        "Embed",
        name,
        f"embed_param {{ input_dim: 5 num_output: 7 {settings} }}",
        [values],
        lambda xs, blobs: selection.embedded(xs[0], *blobs),
        names=names,
        differentiable=(),
    )


EMBED = [
    embed("sequence", "", EMBED_VALUES),
    embed("no-bias", "bias_term: false", EMBED_VALUES.reshape(2, 3, 1), names=("weight",)),
]

PARAMETER = [
    case(
        "Parameter",
        name,
        f"parameter_param {{ shape {{ {' '.join(f'dim: {dim}' for dim in shape)} }} }}",
        [],
        lambda _, blobs: blobs[0],
        names=("value",),
        larger_batch=False,
    )
    for name, shape in (("maps", (2, 3, 5)), ("scalar", ()))
]


def im2col(name, settings, bottom, *, axis=1, **arguments):
    return case(
        "Im2col",
        name,
        f"convolution_param {{ {settings} }}",
        [bottom],
        lambda xs, _: selection.im2col(xs[0], axis=axis, **arguments),
    )


PLAIN = {"stride": (1, 1), "pad": (0, 0), "dilation": (1, 1)}
IM2COL = [
    im2col("maps", "kernel_h: 3 kernel_w: 2", (2, 3, 5, 7), **PLAIN | {"kernel": (3, 2)}),
    im2col(
        "everything",
        "kernel_size: [3, 2] stride: [2, 3] pad: [1, 2] dilation: [1, 2]",
        (2, 3, 7, 11),
        kernel=(3, 2),
        stride=(2, 3),
        pad=(1, 2),
        dilation=(1, 2),
    ),
    im2col(
        "lines",
        "kernel_size: 3 stride: 2 pad: 1",
        (2, 3, 11),
        kernel=(3,),
        stride=(2,),
        pad=(1,),
        dilation=(1,),
    ),
    im2col(
        "volumes",
        "kernel_size: [1, 2, 3] pad: [0, 1, 0]",
        (1, 2, 3, 5, 7),
        kernel=(1, 2, 3),
        stride=(1, 1, 1),
        pad=(0, 1, 0),
        dilation=(1, 1, 1),
    ),
    im2col("axis", "kernel_size: 2 axis: 2", (2, 3, 5, 7), axis=2, kernel=(2,), stride=(1,), pad=(0,), dilation=(1,)),
]  # fmt: skip

CASES = [*TILE, *CROP, *BATCH_REINDEX, *FILTER, *EMBED, *PARAMETER, *IM2COL]
