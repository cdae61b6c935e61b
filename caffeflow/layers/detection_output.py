"""DetectionOutput: what an SSD's heads say, decoded, thinned out and listed; SSD fork only.

Bottoms: loc [N, P*L*4] (L is 1, or num_classes without share_location), conf [N, P*num_classes] after
softmax or sigmoid, priors [1, 2, P*4], and the images where boxes are to be drawn. Top [1, 1, M, 7]: image
in the batch, label, score, xmin, ymin, xmax, ymax as fractions of the image. Where Caffe surprises:
  * code_type is CORNER unless told otherwise, and the published nets use CENTER_SIZE;
  * rows are sorted by image, then by label, and by falling score only within a label;
  * boxes are not cut at the image's border, and scores must exceed confidence_threshold;
  * with nothing found in a whole batch the top has a row [image, -1, -1, -1, -1, -1, -1] for each image; an
    image without detections beside others that have some has no row at all.
The number of rows is known only after a forward; shapes show 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from caffeflow.errors import NetError
from caffeflow.layers.boxes import Coding, check_head, prior_count, read_background, read_coding
from caffeflow.layers.params import dims
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import (
    DetectionEvaluateParameter,
    DetectionOutputParameter,
    LayerParameter,
    ResizeParameter,
    SaveOutputParameter,
)

ResizeMode = Literal["WARP", "FIT_SMALL_SIZE", "FIT_LARGE_SIZE_AND_PAD"]
ResultFormat = Literal["VOC", "COCO", "ILSVRC"]

_MODES: dict[int, ResizeMode] = {
    ResizeParameter.WARP: "WARP",
    ResizeParameter.FIT_SMALL_SIZE: "FIT_SMALL_SIZE",
    ResizeParameter.FIT_LARGE_SIZE_AND_PAD: "FIT_LARGE_SIZE_AND_PAD",
}
_FORMATS: tuple[ResultFormat, ...] = ("VOC", "COCO", "ILSVRC")


@dataclass(frozen=True, kw_only=True)
class ImageResize:
    """How images were brought to the net's size, so that boxes find the way back.

    Attributes:
        scales: (height_scale, width_scale) of FIT_SMALL_SIZE; None: boxes are fractions of the image.
    """

    mode: ResizeMode
    height: int
    width: int
    scales: tuple[int, int] | None


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """Which boxes of a label give way to a better one.

    Attributes:
        threshold: A box stays if it overlaps no better one more than this.
        top_k: How many of the best scores are looked at; negative: all.
        eta: The threshold is multiplied by it after each box that stays, while it is above 0.5.
    """

    threshold: float
    top_k: int
    eta: float


@dataclass(frozen=True, kw_only=True)
class ResultFiles:
    """Which files the detections go to.

    Attributes:
        images: After how many images the files are written; None: all of `name_size_file`.
        resize: How images were resized; None: plainly.
    """

    directory: str
    prefix: str
    format: ResultFormat
    label_map_file: str
    name_size_file: str
    images: int | None
    resize: ImageResize | None


@dataclass(frozen=True, kw_only=True)
class DetectionOutputParams:
    """The settings of DetectionOutput.

    Attributes:
        background: The label of no object; negative: there is none.
        keep_top_k: How many detections an image keeps; negative: all.
        confidence_threshold: What a score must exceed.
        results: None: nothing is written.
        unused: Fields that ask for pictures, which are not made here.
    """

    num_classes: int
    share_location: bool
    background: int
    coding: Coding
    suppression: Suppression
    keep_top_k: int
    confidence_threshold: float
    results: ResultFiles | None
    unused: tuple[str, ...]

    @property
    def loc_classes(self) -> int:
        """How many boxes are predicted for a prior."""
        return 1 if self.share_location else self.num_classes

    @classmethod
    def read(cls, layer: LayerParameter) -> DetectionOutputParams:
        """Reads `detection_output_param`."""
        param = layer.detection_output_param
        has_threshold = param.HasField("confidence_threshold")
        return cls(
            num_classes=_read_num_classes(param),
            share_location=param.share_location,
            background=read_background(param.background_label_id),
            coding=read_coding(param.code_type, variance_in_target=param.variance_encoded_in_target),
            suppression=_read_suppression(param),
            keep_top_k=param.keep_top_k,
            confidence_threshold=param.confidence_threshold if has_threshold else -math.inf,
            results=_read_results(param.save_output_param),
            unused=_drawing_fields(param),
        )


def _read_num_classes(param: DetectionOutputParameter) -> int:
    if not param.HasField("num_classes"):
        raise NetError("num_classes is missing in detection_output_param; give it, the background counted")
    if param.num_classes < 1:
        raise NetError(f"num_classes is {param.num_classes}; it must be at least 1")
    return param.num_classes


def _read_suppression(param: DetectionOutputParameter) -> Suppression:
    nms = param.nms_param
    if nms.nms_threshold < 0:
        raise NetError(f"nms_threshold is {nms.nms_threshold:g}; it must not be negative")
    if not 0 < nms.eta <= 1:
        raise NetError(f"eta is {nms.eta:g} in nms_param; it must be above 0 and at most 1")
    top_k = nms.top_k if nms.HasField("top_k") else -1
    return Suppression(threshold=nms.nms_threshold, top_k=top_k, eta=nms.eta)


def _read_results(param: SaveOutputParameter) -> ResultFiles | None:
    # Caffe: without one of the three it writes nothing (detection_output_layer.cpp).
    if not (param.output_directory and param.label_map_file and param.name_size_file):
        return None
    if param.output_format not in _FORMATS:
        raise NetError(
            f"output_format is '{param.output_format}' in save_output_param; expected VOC, COCO or ILSVRC"
        )
    if param.HasField("num_test_image") and not param.num_test_image:
        raise NetError("num_test_image is 0 in save_output_param; it must be at least 1")
    return ResultFiles(
        directory=param.output_directory,
        prefix=param.output_name_prefix,
        format=param.output_format,
        label_map_file=param.label_map_file,
        name_size_file=param.name_size_file,
        images=param.num_test_image if param.HasField("num_test_image") else None,
        resize=read_image_resize(param),
    )


def _drawing_fields(param: DetectionOutputParameter) -> tuple[str, ...]:
    # Caffe: visualize_threshold and save_file mean nothing without visualize.
    return ("visualize", *(("save_file",) if param.save_file else ())) if param.visualize else ()


def read_image_resize(param: SaveOutputParameter | DetectionEvaluateParameter) -> ImageResize | None:
    """Returns the `resize_param` of a layer that gives boxes back in pixels, or None where it has none."""
    if not param.HasField("resize_param"):
        return None
    resize = param.resize_param
    if not (resize.height and resize.width):
        found = f"height {resize.height}, width {resize.width}"
        raise NetError(f"resize_param has {found}; both must be at least 1")
    scales = (resize.height_scale, resize.width_scale)
    return ImageResize(
        mode=_MODES[resize.resize_mode],
        height=resize.height,
        width=resize.width,
        scales=scales if all(scales) else None,
    )


def detection_output_shapes(params: DetectionOutputParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the top as if there were one detection, of heads that fit the priors."""
    loc, conf, priors = bottoms[:3]
    if loc[:1] != conf[:1]:
        raise NetError(f"loc and conf must have as many rows; found {dims(loc)} and {dims(conf)}")
    check_head("loc", loc, priors=prior_count(priors), values=params.loc_classes * 4)
    check_head("conf", conf, priors=prior_count(priors), values=params.num_classes)
    return [(1, 1, 1, 7)]


register(
    LayerSpec(
        type="DetectionOutput",
        bottoms=(3, 4),
        read=DetectionOutputParams.read,
        shapes=detection_output_shapes,
        note="has as many rows as there are detections; visualize is named in a warning, nothing is drawn",
    )
)
