"""A second opinion on a net: OpenCV 4's own reading of the same prototxt and caffemodel.

The one rule to know: OpenCV can only be asked where its importer is right. `find_obstacle` says what
stands in the way of a net, and nothing is compared against a net that has such an obstacle. Fusion of
layers is switched off, so that each layer computes what its name says.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from caffeflow.errors import CheckError
from caffeflow.layers.convolution import ConvolutionParams
from caffeflow.layers.inference import LayerFacts, NetShapes

Array = NDArray[np.float32]

_NOT_READ: Final = {
    "Clip": "has no layer type Clip",
    "DepthwiseConvolution": "has no layer type DepthwiseConvolution; write a Convolution with group",
    "ConvolutionDepthwise": "has no layer type ConvolutionDepthwise; write a Convolution with group",
    "Data": "reads no databases; give the deploy file",
    "ImageData": "reads no image lists; give the deploy file",
    "DummyData": "makes up no data; give the deploy file",
}

_FIELDS_NOT_READ: Final = (
    ("pooling_param", "round_mode"),
    ("convolution_param", "tf_pad"),
    ("prior_box_param", "reduce_boxes"),
)


def find_obstacle(shapes: NetShapes) -> str | None:
    """Returns why OpenCV cannot check a net, as a phrase about OpenCV and a layer, or None if it can."""
    for facts in shapes.layers:
        reason = _reason_against(facts)
        if reason is not None:
            return f"OpenCV {reason} (layer '{facts.name}')"
    return None


def run_opencv(prototxt: Path, caffemodel: Path, *, inputs: Mapping[str, Array], layer: str) -> Array:
    """Returns what a layer makes of given inputs, computed by OpenCV on the CPU.

    Args:
        prototxt: A deploy file.
        caffemodel: Its weights.
        inputs: Values by the name of the input blob.
        layer: The layer whose first top is wanted; the last in-place one, if there are several.

    Raises:
        CheckError: OpenCV cannot read the net or run it.
    """
    try:
        net = cv2.dnn.readNetFromCaffe(str(prototxt), str(caffemodel))
        net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
        net.setPreferableTarget(cv2.dnn.DNN_TARGET_CPU)
        net.enableFusion(False)
        net.enableWinograd(False)
        for name, values in inputs.items():
            net.setInput(np.ascontiguousarray(values, np.float32), name)
        return np.array(net.forward(layer), np.float32)
    except cv2.error as error:
        what = " ".join(str(error.err or error).split())
        raise CheckError(f"{prototxt}: OpenCV {cv2.__version__} cannot run this net: {what}") from error


def _reason_against(facts: LayerFacts) -> str | None:
    if facts.spec.type in _NOT_READ:
        return _NOT_READ[facts.spec.type]
    for param, field in _FIELDS_NOT_READ:
        if getattr(facts.node.layer, param).HasField(field):
            return f"knows no {field} in {param}"
    if _is_depthwise_on_a_side_of_one(facts):
        return "computes a depthwise convolution wrongly where a side of its bottom is 1"
    return None


def _is_depthwise_on_a_side_of_one(facts: LayerFacts) -> bool:
    if facts.spec.type != "Convolution" or not isinstance(facts.params, ConvolutionParams):
        return False
    bottom, params = facts.bottoms[0], facts.params
    is_depthwise = params.groups(bottom) == params.channels(bottom) > 1
    return is_depthwise and max(params.filters(bottom).kernel) > 1 and min(bottom[2:]) == 1
