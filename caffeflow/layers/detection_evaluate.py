"""DetectionEvaluate: which detections hit a box of the ground truth; SSD fork only.

Bottoms: detections [1, 1, M, 7] and ground truth [1, 1, G, 8] of a batch. Top [1, 1, rows, 5]: first
[-1, label, number of boxes, -1, -1] for each label but the background, then [image, label, score, hit, miss]
for each detection, by image and label. Where Caffe surprises:
  * difficult boxes count unless `evaluate_difficult_gt` is false; then they are not counted among the boxes,
    and a detection of one is neither hit nor miss;
  * with `name_size_file` boxes are compared in pixels of the original images, whose border pixels count;
    the file's next line is taken for each image that has detections, so sizes fall out of step after a batch
    in which some images have detections and others none.
The number of rows is known only after a forward; shapes show one detection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.boxes import read_background
from caffeflow.layers.detection_output import ImageResize, read_image_resize
from caffeflow.layers.params import count, dims
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class DetectionEvaluateParams:
    """The settings of DetectionEvaluate.

    Attributes:
        background: The label of no object; negative: there is none.
        threshold: The overlap from which on a detection hits.
        with_difficult: Difficult boxes count like the others.
        name_size_file: Where the images' sizes stand; empty: boxes are compared as fractions.
        resize: How images were resized; None: plainly.
    """

    num_classes: int
    background: int
    threshold: float
    with_difficult: bool
    name_size_file: str
    resize: ImageResize | None

    @property
    def labels(self) -> tuple[int, ...]:
        """The labels that boxes are counted of."""
        return tuple(label for label in range(self.num_classes) if label != self.background)

    @property
    def label_count(self) -> int:
        """How many labels there are; known of a number of classes that no memory holds, too."""
        return self.num_classes - int(0 <= self.background < self.num_classes)

    @classmethod
    def read(cls, layer: LayerParameter) -> DetectionEvaluateParams:
        """Reads `detection_evaluate_param`."""
        param = layer.detection_evaluate_param
        if not param.HasField("num_classes"):
            raise NetError(
                "num_classes is missing in detection_evaluate_param; give it, the background counted"
            )
        if param.overlap_threshold <= 0:
            raise NetError(f"overlap_threshold is {param.overlap_threshold:g}; it must be positive")
        return cls(
            num_classes=param.num_classes,
            background=read_background(param.background_label_id),
            threshold=param.overlap_threshold,
            with_difficult=param.evaluate_difficult_gt,
            name_size_file=param.name_size_file,
            resize=read_image_resize(param),
        )


def detection_evaluate_shapes(params: DetectionEvaluateParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the top as if there were one detection."""
    for name, shape, width in zip(("detections", "ground truth"), bottoms, (7, 8), strict=True):
        if len(shape) != 4 or shape[3] != width or count(shape) != shape[2] * width:
            raise NetError(f"the {name} must be 1 x 1 x any number x {width}; found {dims(shape)}")
    return [(1, 1, params.label_count + 1, 5)]


register(
    LayerSpec(
        type="DetectionEvaluate",
        bottoms=2,
        read=DetectionEvaluateParams.read,
        shapes=detection_evaluate_shapes,
        note="has a row for each label and each detection",
    )
)
