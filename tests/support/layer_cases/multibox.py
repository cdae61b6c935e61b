"""Battery cases of MultiBoxLoss: each option away from its default once, in a batch with an empty image."""

from __future__ import annotations

import numpy as np

from tests.support.layer_battery import Case
from tests.support.multibox_scenes import as_truth, scene, text_of
from tests.support.oracles.multibox import Settings, multibox

CENTER = {"code": "CENTER_SIZE"}
LOGISTIC = {"conf_loss": "LOGISTIC"}
PER_CLASS = {"share": False, "mining": "NONE"}


def case(name, *, truth=None, labels=None, spread=0.7, sharpness=1.5, seed=1, **fields):
    settings = Settings(**{"classes": 5, **fields})
    bottoms = scene(settings, seed=seed, labels=labels, spread=spread, sharpness=sharpness).bottoms()
    if truth is not None:
        bottoms[3] = as_truth(truth)
    return Case(
        id=f"multiboxloss-{name}",
        prototxt=text_of(settings),
        bottoms=bottoms,
        oracle=lambda xs, _: multibox(*xs, settings)[0],
        gradient=lambda xs, _, diffs: [diff * diffs[0] for diff in multibox(*xs, settings)[1:]],
        differentiable=(0, 1),
        larger_batch=False,
        by_values=True,
        tolerance=5e-6,
    )


CASES = [
    case("defaults"),
    case("center-size", **CENTER),
    case("corner-size", code="CORNER_SIZE"),
    case("variance-in-target", **CENTER, variance_in_target=True),
    case("variance-in-target-corner", variance_in_target=True),
    case("l2", **CENTER, loc_loss="L2"),
    case("loc-weight", **CENTER, loc_weight=0.25),
    case("logistic", **CENTER, **LOGISTIC),
    case("logistic-without-background", **CENTER, **LOGISTIC, background=-1),
    case("logistic-other-background", **CENTER, **LOGISTIC, background=2),
    case("background-last", **CENTER, background=4),
    case("bipartite", **CENTER, match="BIPARTITE"),
    case("threshold", **CENTER, threshold=0.75),
    case("by-predictions", **CENTER, by_priors=False, spread=0.3),
    case("within-image", **CENTER, within_image=True),
    case("without-difficult", **CENTER, difficult=False),
    case("bp-inside", **CENTER, bp_inside=True),
    case("bp-inside-by-predictions", **CENTER, bp_inside=True, by_priors=False, spread=0.3),
    case("ratio-and-overlap", **CENTER, ratio=1.5, neg_overlap=0.25),
    case("hard-example", **CENTER, mining="HARD_EXAMPLE", sample_size=5),
    case("hard-example-within-image", **CENTER, mining="HARD_EXAMPLE", sample_size=7, within_image=True),
    case("hard-example-logistic-l2", mining="HARD_EXAMPLE", sample_size=7, loc_loss="L2", **LOGISTIC),
    case("nms", **CENTER, nms=(0.5, 7)),
    case("nms-by-priors", **CENTER, nms=(0.25, 11), nms_by_priors=True),
    case("nms-without-top-k", **CENTER, nms=(0.5, 0)),
    case("nms-hard-example", **CENTER, mining="HARD_EXAMPLE", sample_size=5, nms=(0.25, -1)),
    case("no-mining", **CENTER, mining="NONE"),
    case("no-mining-logistic", **CENTER, **LOGISTIC, mining="NONE"),
    case("per-class", **CENTER, **PER_CLASS),
    case("per-class-logistic", **CENTER, **PER_CLASS, **LOGISTIC),
    case("per-class-by-predictions", **CENTER, **PER_CLASS, by_priors=False, spread=0.2, threshold=0.25),
    case("per-class-by-predictions-logistic", **PER_CLASS, **LOGISTIC, by_priors=False, spread=0.2),
    case("agnostic", **CENTER, classes=2, agnostic=True),
    case("agnostic-of-many", **CENTER, classes=2, agnostic=True, mining="NONE", labels=[1, 2, 3, 7]),
    case("agnostic-without-background", **CENTER, **LOGISTIC, classes=1, background=-1, agnostic=True),
    case("full", **CENTER, normalization="FULL"),
    case("batch-size", **CENTER, normalization="BATCH_SIZE"),
    case("none", **CENTER, normalization="NONE"),
    case("no-boxes", **CENTER, truth=[[-1] * 8]),
    case("no-boxes-no-mining", **CENTER, truth=[[-1] * 8], mining="NONE"),
    case("no-boxes-of-this-batch", **CENTER, truth=[[7, 1, 0, 0.1, 0.2, 0.5, 0.7, 0]]),
    case("boxes-out-of-order", **CENTER, truth=[
        [2, 1, 0, 0.1, 0.2, 0.5, 0.7, 0], [-1, -1, -1, -1, -1, -1, -1, -1], [0, 3, 0, 0.3, 0.1, 0.8, 0.6, 0],
        [2, 2, 0, 0.4, 0.3, 0.9, 0.9, 1], [0, 3, 1, 0.0, 0.5, 0.4, 1.0, 0],
    ]),
    case("boxes-without-area", **CENTER, truth=[
        [0, 1, 0, 0.3, 0.3, 0.3, 0.8, 0], [0, 1, 0, 0.6, 0.2, 0.4, 0.9, 0], [1, 2, 0, 0.2, 0.2, 0.7, 0.8, 0],
    ]),
    case("hopeless", **CENTER, spread=40, sharpness=150, seed=3),
    case("nan-box", **CENTER, truth=[
        [0, 1, 0, np.nan, 0.3, 0.6, 0.8, 0], [0, 1, 0, 0.2, 0.2, 0.7, 0.8, 0],
    ]),
]  # fmt: skip
