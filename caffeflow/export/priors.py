"""The boxes of PriorBox layers, and the blob that DetectionOutput gets of them, without running the net.

They depend on sizes alone. Centres and sides are rounded to float32 before boxes are made of them in
double precision, as in Caffe.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from caffeflow.errors import UnsupportedLayerError
from caffeflow.layers.concat_slice import ConcatParams
from caffeflow.layers.inference import LayerFacts
from caffeflow.layers.params import Pair, as_four
from caffeflow.layers.prior_box import PriorBoxParams
from caffeflow.proto.binary import Array
from caffeflow.proto.graph import Value


def layer_priors(facts: LayerFacts) -> Array:
    """Returns what a PriorBox layer makes, (1, 2, H*W*P*4): boxes, then variances."""
    params: PriorBoxParams = facts.params
    planes = [as_four(bottom)[2:] for bottom in facts.bottoms]
    features = (planes[0][0], planes[0][1])
    image = params.image or (planes[1][0], planes[1][1])
    return prior_boxes(params, features=features, image=image)


def prior_boxes(params: PriorBoxParams, *, features: Pair, image: Pair) -> Array:
    """Returns boxes and variances, (1, 2, H*W*P*4).

    Args:
        params: The layer's settings.
        features: (H, W) of the feature map.
        image: (height, width) of the image.
    """
    single, double = np.float32, np.float64
    sides = np.array(params.sides(), single)
    steps = params.step or [size / places for size, places in zip(image, features, strict=True)]
    boxes: np.ndarray[Any, np.dtype[np.float64]] = np.empty((*features, params.count, 4), double)
    for axis, size in enumerate(image):  # 0: y and height, 1: x and width
        places = np.arange(features[axis], dtype=single) + single(params.offset)
        centre = (places * single(steps[axis])).astype(double)
        centre = centre.reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        half = sides[:, axis].astype(double) / 2
        boxes[..., 1 - axis] = (centre - half) / size
        boxes[..., 3 - axis] = (centre + half) / size
    if params.clip:
        boxes = boxes.clip(0, 1)
    variances = np.broadcast_to(np.array(params.variances, double), (boxes.size // 4, 4))
    return np.stack((boxes.ravel(), variances.ravel()))[None].astype(single)


def joined_priors(value: Value, makers: Mapping[Value, LayerFacts]) -> Array:
    """Returns a value that PriorBox layers make, through Concat and Split if need be.

    Args:
        value: What DetectionOutput reads.
        makers: The layer that makes each value.

    Raises:
        UnsupportedLayerError: Another layer has a part in it.
    """
    facts = makers[value]
    if facts.spec.type == "PriorBox":
        return layer_priors(facts)
    if facts.spec.type == "Split":
        return joined_priors(facts.node.bottoms[0], makers)
    if facts.spec.type == "Concat":
        params: ConcatParams = facts.params
        return np.concatenate(
            [joined_priors(bottom, makers) for bottom in facts.node.bottoms], axis=params.axis
        )
    raise UnsupportedLayerError(
        f"type {facts.spec.type} makes the priors of a DetectionOutput; to write them beside the ONNX file"
        " they must come from PriorBox and Concat alone",
        layer=facts.name,
    )
