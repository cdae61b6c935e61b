"""Battery cases of LRN, MVN, BatchNorm, Scale, Bias and Dropout."""

from __future__ import annotations

import numpy as np

from tests.support.layer_battery import Case
from tests.support.oracles import batch_norm, lrn, mvn, scale_bias

SHAPE = (2, 3, 5, 7)


def lrn_case(name, settings, oracle, bottom=(2, 7, 3, 5)):
    return Case(
        id=f"lrn-{name}",
        prototxt=f'type: "LRN" lrn_param {{ {settings} }}',
        bottoms=[bottom],
        oracle=lambda xs, _: oracle(xs[0]),
    )


LRN = [
    lrn_case("defaults", "", lambda x: lrn.across(x, size=5, alpha=1, beta=0.75, k=1)),
    lrn_case(
        "all-settings",
        "local_size: 3 alpha: 0.75 beta: 1.25 k: 2",
        lambda x: lrn.across(x, size=3, alpha=0.75, beta=1.25, k=2),
    ),
    lrn_case(
        "wider-than-channels",
        "local_size: 9 alpha: 0.5",
        lambda x: lrn.across(x, size=9, alpha=0.5, beta=0.75, k=1),
        bottom=(2, 3, 5, 7),
    ),
    lrn_case(
        "one-channel",
        "local_size: 5",
        lambda x: lrn.across(x, size=5, alpha=1, beta=0.75, k=1),
        bottom=(1, 1, 3, 2),
    ),
    lrn_case(
        "within-ignores-k",
        "norm_region: WITHIN_CHANNEL local_size: 3 alpha: 0.75 beta: 0.625 k: 5",
        lambda x: lrn.within(x, size=3, alpha=0.75, beta=0.625),
        bottom=(2, 3, 5, 7),
    ),
]

STATISTICS = ("mean", "variance", "factor")
STORED = (np.array([0.3, -2.0, 5.0]), np.array([1.7, 0.2, 11.0]), np.array([1.9]))


def batch_norm_case(name, oracle, *, phase, settings="", bottom=SHAPE, blobs=STORED):
    return Case(
        id=f"batchnorm-{name}",
        prototxt=f'type: "BatchNorm" batch_norm_param {{ {settings} }}',
        bottoms=[bottom],
        oracle=lambda xs, stored: oracle(xs[0], *stored),
        phase=phase,
        blobs=blobs,
        names=STATISTICS,
    )


def by_batch(x, *_stored):
    return batch_norm.by_batch(x)


BATCH_NORM = [
    batch_norm_case("train", by_batch, phase="TRAIN"),
    batch_norm_case("test", batch_norm.by_stored, phase="TEST"),
    batch_norm_case("train-stored", batch_norm.by_stored, phase="TRAIN", settings="use_global_stats: true"),
    batch_norm_case("test-by-batch", by_batch, phase="TEST", settings="use_global_stats: false"),
    batch_norm_case("rows", by_batch, phase="TRAIN", bottom=(5, 3)),
    batch_norm_case("volumes", by_batch, phase="TRAIN", bottom=(2, 3, 2, 5, 2)),
    batch_norm_case(
        "eps",
        lambda x, *_: batch_norm.by_batch(x, eps=0.25),
        phase="TRAIN",
        settings="eps: 0.25",
    ),
    batch_norm_case(
        "never-trained",
        batch_norm.by_stored,
        phase="TEST",
        blobs=(np.zeros(3), np.zeros(3), np.zeros(1)),
    ),
]


def scale_case(name, settings, bottoms, oracle, *, names, layer_type="Scale", in_place=False):
    field = f"{layer_type.lower()}_param"
    return Case(
        id=f"{layer_type.lower()}-{name}",
        prototxt=f'type: "{layer_type}" {field} {{ {settings} }}',
        bottoms=bottoms,
        oracle=oracle,
        names=names,
        in_place=in_place,
        larger_batch="axis: 0" not in settings,
    )


def scaled(axis):
    return lambda xs, blobs: scale_bias.scale(xs[0], *blobs, axis=axis)


def scaled_by_bottom(axis):
    return lambda xs, blobs: scale_bias.scale(*xs, *blobs, axis=axis)


def added(axis):
    return lambda xs, blobs: scale_bias.add(xs[0], *blobs, axis=axis)


BOTH = ("scale", "bias")

SCALE = [
    scale_case("channels", "", [SHAPE], scaled(1), names=("scale",)),
    scale_case("bias", "bias_term: true", [SHAPE], scaled(1), names=BOTH, in_place=True),
    scale_case("two-axes", "axis: 1 num_axes: 2 bias_term: true", [SHAPE], scaled(1), names=BOTH),
    scale_case("to-the-end", "axis: 2 num_axes: -1", [SHAPE], scaled(2), names=("scale",)),
    scale_case("last-axis", "axis: -1", [SHAPE], scaled(3), names=("scale",)),
    scale_case("scalar", "num_axes: 0 bias_term: true", [SHAPE], scaled(1), names=BOTH),
    scale_case("two-bottoms", "axis: 0", [SHAPE, (2, 3)], scaled_by_bottom(0), names=()),
    scale_case(
        "two-bottoms-bias", "axis: 0 bias_term: true", [SHAPE, (2, 3)], scaled_by_bottom(0), names=("bias",)
    ),
    scale_case("channels", "", [SHAPE], added(1), names=("bias",), layer_type="Bias"),
    scale_case(
        "two-axes",
        "axis: 2 num_axes: 2",
        [SHAPE],
        added(2),
        names=("bias",),
        layer_type="Bias",
        in_place=True,
    ),
    scale_case(
        "two-bottoms",
        "axis: 0",
        [SHAPE, (2, 3)],
        lambda xs, _: scale_bias.add(*xs, axis=0),
        names=(),
        layer_type="Bias",
    ),
]


def dropout_case(name, phase, settings, oracle):
    return Case(
        id=f"dropout-{name}",
        prototxt=f'type: "Dropout" dropout_param {{ {settings} }}',
        bottoms=[SHAPE],
        oracle=lambda xs, _: oracle(xs[0]),
        phase=phase,
        in_place=True,
    )


# What TRAIN does is tested in test_dropout_module.py: it has no single right answer.
DROPOUT = [
    dropout_case("test", "TEST", "dropout_ratio: 0.4", lambda x: x),
    dropout_case("ratio-0", "TRAIN", "dropout_ratio: 0", lambda x: x),
]


def mvn_case(name, settings, bottom, *, divides=True, **arguments):
    def gradient(xs, _blobs, diffs):
        return [mvn.mvn_gradient(xs[0], diffs[0], **arguments)]

    return Case(
        id=f"mvn-{name}",
        prototxt=f'type: "MVN" mvn_param {{ {settings} }}',
        bottoms=[bottom],
        oracle=lambda xs, _: mvn.mvn(xs[0], divides=divides, **arguments),
        gradient=gradient if divides else "numeric",
    )


MVN = [
    mvn_case("planes", "", SHAPE),
    mvn_case("images", "across_channels: true", SHAPE, across=True),
    mvn_case("means-only", "normalize_variance: false", SHAPE, divides=False),
    mvn_case("large-eps", "eps: 0.5", SHAPE, eps=0.5),
    mvn_case("rows", "across_channels: true", (3, 7), across=True),
    mvn_case("one-value-everywhere", "eps: 0.25", np.full((2, 3, 5, 7), 2.0), eps=0.25),
]

CASES = [*LRN, *MVN, *BATCH_NORM, *SCALE, *DROPOUT]
