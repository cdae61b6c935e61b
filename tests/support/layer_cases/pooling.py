"""Battery cases of Pooling and SPP; the sweep over sizes stands in test_pooling_module.py."""

from __future__ import annotations

import numpy as np

from tests.support.layer_battery import Case
from tests.support.oracles.pooling import average, maximum, pyramid, weighed


def case(name, settings, bottom, *, tops=1, **arguments):
    def oracle(values, _blobs):
        if "STOCHASTIC" in settings:
            return weighed(values[0], **arguments)
        if "AVE" in settings:
            return average(values[0], **arguments)
        return maximum(values[0], **arguments)[:tops]

    return Case(
        id=f"pooling-{name}",
        prototxt=f'type: "Pooling" pooling_param {{ {settings} }}',
        bottoms=[bottom],
        oracle=oracle,
        tops=tops,
        gradient="numeric" if tops == 1 else _first_top_only,
    )


def _first_top_only(values, _blobs, diffs):
    """The gradient goes to each window's maximum; the places have none."""
    _, places = maximum(values[0], kernel=(3, 2), stride=(2, 1))
    dx = values[0] * 0.0
    for n, c, oh, ow in zip(*places.nonzero(), strict=True):
        flat = dx[n, c].reshape(-1)
        flat[int(places[n, c, oh, ow])] += diffs[0][n, c, oh, ow]
    for n, c, oh, ow in zip(*(places == 0).nonzero(), strict=True):
        dx[n, c, 0, 0] += diffs[0][n, c, oh, ow]
    return [dx]


HW = "kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1"
ODD = {"kernel": (3, 2), "stride": (2, 1)}

# The third window along w would begin at 8, with 6 columns there.
BEYOND = {"kernel": (3, 1), "stride": (2, 4)}

POOLING = [
    case("max-h-and-w", HW, (2, 3, 7, 5), **ODD),
    case("max-padded", f"{HW} pad_h: 1 pad_w: 1", (2, 3, 7, 5), **ODD, pad=(1, 1)),
    case("max-partial-window", "kernel_size: 3 stride: 2", (2, 3, 6, 7), kernel=(3, 3), stride=(2, 2)),
    case(
        "max-pad-beyond-half",
        "kernel_size: 3 pad_h: 2 pad_w: 0 stride: 2",
        (2, 3, 5, 7),
        kernel=(3, 3),
        pad=(2, 0),
        stride=(2, 2),
    ),
    case(
        "max-floor",
        "kernel_size: 3 stride: 2 round_mode: FLOOR",
        (2, 3, 6, 5),
        kernel=(3, 3),
        stride=(2, 2),
        floor=True,
    ),
    case("max-global", "global_pooling: true", (2, 3, 5, 7), kernel=(5, 7)),
    case("max-with-places", HW, (2, 3, 7, 5), tops=2, **ODD),
    case("max-one-row", "kernel_size: 2", (1, 2, 3, 5), kernel=(2, 2)),
    case("max-beyond-image", "kernel_h: 3 kernel_w: 1 stride_h: 2 stride_w: 4", (2, 3, 5, 6), **BEYOND),
    case(
        "ave-beyond-image",
        "pool: AVE kernel_h: 3 kernel_w: 1 stride_h: 2 stride_w: 4",
        (2, 3, 5, 6),
        **BEYOND,
    ),
    case("ave-h-and-w", f"pool: AVE {HW}", (2, 3, 7, 5), **ODD),
    case("ave-padded", f"pool: AVE {HW} pad_h: 1 pad_w: 1", (2, 3, 7, 5), **ODD, pad=(1, 1)),
    case(
        "ave-partial-window", "pool: AVE kernel_size: 3 stride: 2", (2, 3, 6, 7), kernel=(3, 3), stride=(2, 2)
    ),
    case(
        "ave-pad-beyond-half",
        "pool: AVE kernel_size: 3 pad_h: 2 pad_w: 0 stride: 2",
        (2, 3, 6, 5),
        kernel=(3, 3),
        pad=(2, 0),
        stride=(2, 2),
    ),
    case(
        "ave-floor",
        "pool: AVE kernel_size: 3 stride: 2 round_mode: FLOOR",
        (2, 3, 6, 5),
        kernel=(3, 3),
        stride=(2, 2),
        floor=True,
    ),
    case("ave-global", "pool: AVE global_pooling: true", (2, 3, 5, 7), kernel=(5, 7)),
]

# None is negative, as after a ReLU.
RECTIFIED = np.maximum(np.random.default_rng(5).standard_normal((2, 3, 7, 5)), 0) + 0.125

STOCHASTIC = [
    case("stochastic-test", f"pool: STOCHASTIC {HW}", RECTIFIED, **ODD),
    case(
        "stochastic-test-partial",
        "pool: STOCHASTIC kernel_size: 3 stride: 2",
        RECTIFIED[:, :, :6, :4],
        kernel=(3, 3),
        stride=(2, 2),
    ),
    case("stochastic-test-global", "pool: STOCHASTIC global_pooling: true", RECTIFIED, kernel=(7, 5)),
]


def spp(name, settings, bottom, *, height, average_of=False):
    def pool(x, **window):
        return average(x, **window) if average_of else maximum(x, **window)[0]

    return Case(
        id=f"spp-{name}",
        prototxt=f'type: "SPP" spp_param {{ {settings} }}',
        bottoms=[bottom],
        oracle=lambda xs, _: pyramid(xs[0], height=height, pool=pool),
    )


SPP = [
    spp("one-level", "pyramid_height: 1", (2, 3, 5, 7), height=1),
    spp("two-levels", "pyramid_height: 2", (2, 3, 5, 7), height=2),
    spp("three-levels", "pyramid_height: 3", (2, 3, 11, 13), height=3),
    spp("averages", "pyramid_height: 3 pool: AVE", (2, 3, 13, 11), height=3, average_of=True),
]

CASES = [*POOLING, *STOCHASTIC, *SPP]
