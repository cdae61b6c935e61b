"""Battery cases of Pooling; the sweep over sizes stands in test_pooling_module.py."""

from __future__ import annotations

from tests.support.layer_battery import Case
from tests.support.oracles.pooling import average, maximum


def case(name, settings, bottom, *, tops=1, **arguments):
    def oracle(values, _blobs):
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

CASES = [
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
