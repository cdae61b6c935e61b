"""A small SSD: two feature maps with heads and priors, and DetectionOutput behind them."""

from __future__ import annotations

from tests.support.engine_nets import convolution, layer
from tests.support.onnx_nets import images

CLASSES, PER_PLACE = 3, 2
IMAGE, FIRST, SECOND = (23, 19), (11, 9), (5, 4)
PLACES = FIRST[0] * FIRST[1] + SECOND[0] * SECOND[1]


def head(name: str, bottom: str, outputs: int) -> str:
    order = "permute_param { order: [0, 2, 3, 1] }"
    return (
        convolution(name, bottom, name, outputs, 3, "pad: 1")
        + layer(f"{name}_perm", "Permute", name, f"{name}_perm", order)
        + layer(f"{name}_flat", "Flatten", f"{name}_perm", f"{name}_flat")
    )


def feature(index: int, bottom: str) -> str:
    map_ = f"map{index}"
    sizes = f"min_size: {7 + 4 * index} max_size: {13 + 4 * index} flip: false"
    prior = f"prior_box_param {{ {sizes} clip: true variance: [0.1, 0.1, 0.2, 0.2] }}"
    return (
        convolution(map_, bottom, map_, 5, 3, "stride: 2")
        + layer(f"{map_}/tanh", "TanH", map_, map_)
        + head(f"loc{index}", map_, PER_PLACE * 4)
        + head(f"conf{index}", map_, PER_PLACE * CLASSES)
        + layer(f"priors{index}", "PriorBox", f"{map_} data", f"priors{index}", prior)
    )


INPUT = images(2, 3, *IMAGE)
BACKBONE = (
    INPUT
    + feature(1, "data")
    + feature(2, "map1")
    + layer("loc", "Concat", "loc1_flat loc2_flat", "loc")
    + layer("conf", "Concat", "conf1_flat conf2_flat", "conf")
    + layer("priors", "Concat", "priors1 priors2", "priors", "concat_param { axis: 2 }")
    + layer(
        "rows", "Reshape", "conf", "rows", f"reshape_param {{ shape {{ dim: 0 dim: -1 dim: {CLASSES} }} }}"
    )
    + layer("shares", "Softmax", "rows", "shares", "softmax_param { axis: 2 }")
    + layer("scores", "Flatten", "shares", "scores")
)
CUT = layer(
    "found",
    "DetectionOutput",
    "loc scores priors",
    "found",
    "detection_output_param { num_classes: 3 code_type: CENTER_SIZE keep_top_k: 7 confidence_threshold: 0.25"
    " nms_param { nms_threshold: 0.4 top_k: 11 } }",
)
DETECTOR = BACKBONE + CUT
