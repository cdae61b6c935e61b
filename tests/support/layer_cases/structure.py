"""Battery cases of Eltwise, Concat, Slice, Split, Flatten, Reshape, Silence, Reduction and ArgMax."""

from __future__ import annotations

import numpy as np

from tests.support.layer_battery import Case
from tests.support.oracles import argmax, concat_slice, eltwise
from tests.support.oracles.reduction import reduction

SHAPE = (2, 3, 5, 7)


def case(layer_type, name, settings, bottoms, oracle, **fields):
    return Case(
        id=f"{layer_type.lower()}-{name}",
        prototxt=f'type: "{layer_type}" {settings}',
        bottoms=bottoms,
        oracle=lambda xs, _: oracle(xs),
        **fields,
    )


# Ties between all bottoms, between the later ones, and none.
TIES = [np.array([[1.0, 2, 3, 0], [5, 4, 2, 2]]), np.array([[1.0, 1, 3, 4], [3, 4, 1, 2]])]
THIRD = np.array([[1.0, 2, 2, 4], [1, 5, 3, 2]])

ELTWISE = [
    case("Eltwise", "sum", "", [SHAPE, SHAPE, SHAPE], eltwise.total),
    case(
        "Eltwise",
        "coeff",
        "eltwise_param { coeff: [0.5, -1, 2] }",
        [SHAPE, SHAPE, SHAPE],
        lambda xs: eltwise.total(xs, [0.5, -1.0, 2.0]),
    ),
    case("Eltwise", "product", "eltwise_param { operation: PROD }", [SHAPE, SHAPE, SHAPE], eltwise.product),
    case("Eltwise", "maximum", "eltwise_param { operation: MAX }", [SHAPE, SHAPE, SHAPE], eltwise.maximum),
    case(
        "Eltwise",
        "maximum-ties",
        "eltwise_param { operation: MAX coeff: [9, 9, 9] }",
        [*TIES, THIRD],
        eltwise.maximum,
        gradient=lambda xs, _, diffs: eltwise.maximum_gradient(xs, diffs[0]),
    ),
    case("Eltwise", "one-row", "", [(1, 7), (1, 7)], eltwise.total),
]

CUTS = "slice_param { slice_point: [1, 3] }"

CONCAT_SLICE = [
    case("Concat", "channels", "", [(2, 3, 5, 7), (2, 1, 5, 7), (2, 2, 5, 7)], concat_slice.concat),
    case(
        "Concat",
        "last-axis",
        "concat_param { axis: -1 }",
        [(2, 3, 5), (2, 3, 2)],
        lambda xs: concat_slice.concat(xs, axis=2),
    ),
    case(
        "Concat",
        "older-name",
        "concat_param { concat_dim: 2 }",
        [(2, 3, 5), (2, 3, 2), (2, 3, 1)],
        lambda xs: concat_slice.concat(xs, axis=2),
    ),
    case("Concat", "one-bottom", "", [SHAPE], lambda xs: xs[0]),
    case("Slice", "cuts", CUTS, [(2, 7, 5)], lambda xs: concat_slice.cut(xs[0], [1, 2, 4]), tops=3),
    case("Slice", "equal", "", [(2, 6, 5)], lambda xs: concat_slice.cut(xs[0], [2, 2, 2]), tops=3),
    case(
        "Slice",
        "older-name",
        "slice_param { slice_dim: 2 slice_point: 2 }",
        [(2, 3, 5)],
        lambda xs: concat_slice.cut(xs[0], [2, 3], axis=2),
        tops=2,
    ),
    case("Slice", "one-top", "", [SHAPE], lambda xs: xs[0]),
    case("Split", "three", "", [SHAPE], lambda xs: [xs[0]] * 3, tops=3),
]


def reshaped(*shape):
    """The values in row-major order, one after the other, under another shape; -1 is the batch."""

    def oracle(xs):
        y = np.zeros(tuple(len(xs[0]) if dim == -1 else dim for dim in shape))
        for source, target in zip(np.ndindex(*xs[0].shape), np.ndindex(*y.shape), strict=True):
            y[target] = xs[0][source]
        return y

    return oracle


def reshape(name, settings, oracle, bottom=SHAPE, larger_batch=True):
    text = f"reshape_param {{ {settings} }}"
    return case("Reshape", name, text, [bottom], oracle, larger_batch=larger_batch)


RESHAPE = [
    case("Flatten", "all", "", [SHAPE], reshaped(-1, 105)),
    case("Flatten", "axis-2", "flatten_param { axis: 2 }", [SHAPE], reshaped(-1, 3, 35)),
    case("Flatten", "middle", "flatten_param { axis: 1 end_axis: 2 }", [SHAPE], reshaped(-1, 15, 7)),
    case("Flatten", "nothing", "flatten_param { axis: -2 end_axis: 2 }", [SHAPE], reshaped(-1, 3, 5, 7)),
    reshape("copy-and-infer", "shape { dim: 0 dim: -1 }", reshaped(-1, 105)),
    reshape("literal", "shape { dim: 2 dim: 35 dim: 3 }", reshaped(2, 35, 3), larger_batch=False),
    reshape("insert", "shape { dim: 1 } axis: 1 num_axes: 0", reshaped(-1, 1, 3, 5, 7)),
    reshape("append", "shape { dim: 1 } axis: -1 num_axes: 0", reshaped(-1, 3, 5, 7, 1)),
    reshape("replace-run", "shape { dim: 5 dim: -1 } axis: 1 num_axes: 2", reshaped(-1, 5, 3, 7)),
]

SILENCE = [case("Silence", "two", "", [SHAPE, (3,)], lambda _: [], tops=0, gradient=None)]

REDUCTION = [
    case(
        "Reduction",
        f"{operation}-{axis}".lower(),
        f"reduction_param {{ operation: {operation} axis: {axis} coeff: 0.5 }}",
        [(2, 3, 5)],
        lambda xs, operation=operation, axis=axis: reduction(
            xs[0], operation=operation, axis=axis % 3, coeff=0.5
        ),
    )
    for operation, axis in [("SUM", 0), ("SUM", -1), ("ASUM", 1), ("SUMSQ", 2), ("MEAN", 1)]
]

TIED = np.array([[1.0, 3, 3, 2, 3], [5, 0, 5, 1, 1]])


def argmax_case(name, settings, bottom, oracle):
    return case("ArgMax", name, f"argmax_param {{ {settings} }}", [bottom], oracle, gradient=None)


ARGMAX = [
    argmax_case("flat", "", SHAPE, lambda xs: argmax.flat(xs[0])),
    argmax_case("flat-values", "top_k: 3 out_max_val: true", SHAPE, lambda xs: argmax.flat(xs[0], top_k=3, with_values=True)),
    argmax_case("rows", "top_k: 2", (3, 7), lambda xs: argmax.flat(xs[0], top_k=2)),
    argmax_case("ties", "top_k: 4", TIED, lambda xs: argmax.flat(xs[0], top_k=4)),
    argmax_case("axis", "axis: 1 top_k: 2", SHAPE, lambda xs: argmax.along(xs[0], axis=1, top_k=2)),
    argmax_case(
        "axis-values",
        "axis: -1 out_max_val: true",
        SHAPE,
        lambda xs: argmax.along(xs[0], axis=3, values=True),
    ),
]  # fmt: skip

CASES = [*ELTWISE, *CONCAT_SLICE, *RESHAPE, *SILENCE, *REDUCTION, *ARGMAX]
