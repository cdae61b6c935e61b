"""What AnnotatedData does to a record before it is resized: distort, expand, and crop as sampled.

First it is settled by numbers and boxes alone which window of which canvas is wanted, then only that is
made: the part of the picture within the window is distorted, and laid on as much of the canvas as the
window shows. What comes out is the same, since a distortion looks at one pixel at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from caffeflow import images
from caffeflow.data.readers.datum import Planes
from caffeflow.engine.feed.boxes import Boxes, clipped, fractions
from caffeflow.engine.feed.distortion import Distortion
from caffeflow.engine.feed.draws import Draw, RecordDraws
from caffeflow.engine.feed.ground_truth import EmitRule, GroundTruth
from caffeflow.engine.feed.sampler import Samplers, read_samplers
from caffeflow.errors import NetError
from caffeflow.layers.params import Pair
from caffeflow.proto.caffe_pb2 import LayerParameter

_SMALLEST_EXPANSION: Final = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A rectangle of pixels; where it reaches beyond the picture, there is background."""

    top: int
    left: int
    height: int
    width: int

    def end_of(self, picture: Pair) -> Pair:
        """Returns row and column in it behind which there is nothing of a picture of (height, width)."""
        return max(picture[0] - self.top, 0), max(picture[1] - self.left, 0)

    @property
    def size(self) -> Pair:
        """Its (height, width)."""
        return self.height, self.width


@dataclass(frozen=True, kw_only=True)
class Expansion:
    """`expand_param`: the picture somewhere on a larger canvas."""

    probability: float
    largest: float

    @classmethod
    def find(cls, layer: LayerParameter) -> Expansion | None:
        """Reads `expand_param`; None if it is not there.

        Raises:
            NetError: A ratio that SSD refuses, or a mean image, which would have to be of every size.
        """
        if not layer.transform_param.HasField("expand_param"):
            return None
        param = layer.transform_param.expand_param
        if not param.max_expand_ratio > 1:
            found = f"max_expand_ratio is {param.max_expand_ratio:g}"
            raise NetError(f"{found} in expand_param; it must be above 1", layer=layer.name)
        if layer.transform_param.HasField("mean_file"):
            raise NetError(
                "expand_param and mean_file exclude each other: the mean would be the background, and the"
                " expanded picture has another size each time; give mean_value",
                layer=layer.name,
            )
        return cls(probability=param.prob, largest=param.max_expand_ratio)

    def find_canvas(self, size: Pair, draws: RecordDraws) -> Window | None:
        """Returns the canvas as seen from a picture of (height, width); None if it is left as it is."""
        is_tiny = self.largest - 1 < _SMALLEST_EXPANSION
        if is_tiny or not draws.acts(Draw.EXPANSION_ACTS, self.probability):
            return None
        ratio = draws.uniform(Draw.EXPANSION, 1, self.largest)
        height, width = (int(np.float32(side) * np.float32(ratio)) for side in size)
        top = int(draws.uniform(Draw.EXPANSION_TOP, 0, height - size[0]))
        left = int(draws.uniform(Draw.EXPANSION_LEFT, 0, width - size[1]))
        return Window(top=-top, left=-left, height=height, width=width)


@dataclass(frozen=True, kw_only=True)
class AnnotatedAugmentation:
    """All that happens before resizing; each part may be missing."""

    distortion: Distortion | None
    expansion: Expansion | None
    samplers: Samplers | None
    emit: EmitRule | None

    @classmethod
    def read(cls, layer: LayerParameter) -> AnnotatedAugmentation:
        """Reads `transform_param` and `annotated_data_param` of an AnnotatedData layer."""
        samplers = read_samplers(layer)
        return cls(
            distortion=Distortion.find(layer),
            expansion=Expansion.find(layer),
            samplers=Samplers(samplers) if samplers else None,
            emit=EmitRule.find(layer.transform_param),
        )

    def frame(self, size: Pair, truth: GroundTruth, draws: RecordDraws) -> tuple[Window, GroundTruth]:
        """Returns the window to show of a picture, and what is annotated in it.

        Args:
            size: (height, width) of the picture.
            truth: What is annotated in the picture.
            draws: The record's.
        """
        window = Window(top=0, left=0, height=size[0], width=size[1])
        canvas = self.expansion.find_canvas(size, draws) if self.expansion else None
        if canvas is not None:
            window, truth = canvas, truth.within(_fractions(canvas, size), self.emit)
        crop = self.samplers.find_crop(truth, draws) if self.samplers else None
        if crop is not None:
            window, truth = _cropped(window, clipped(crop)), truth.within(clipped(crop), self.emit)
        return window, truth

    def picture(
        self, image: Planes, window: Window, background: tuple[float, ...], draws: RecordDraws | None
    ) -> Planes:
        """Returns what a window shows of the picture, distorted by the numbers of its record.

        Args:
            image: (H, W) or (H, W, C), whole.
            window: What to show of it.
            background: Of each channel, where the window reaches beyond the picture.
            draws: The record's; None: nothing is distorted.
        """
        height, width = image.shape[:2]
        top, left = max(window.top, 0), max(window.left, 0)
        bottom = max(min(window.top + window.height, height), top)
        right = max(min(window.left + window.width, width), left)
        part = image[top:bottom, left:right]
        if not part.size:
            pixel = np.zeros((1, 1, *image.shape[2:]), image.dtype)
            filled = images.surround(pixel, (0, window.height, 0, window.width), background)
            return filled[1:, 1:]
        if self.distortion is not None and draws is not None:
            part = self.distortion.picture(part.astype(np.uint8, copy=False), draws)
        if part.shape[:2] == window.size:
            return part
        above, beside = top - window.top, left - window.left
        below = window.height - above - part.shape[0]
        beyond = window.width - beside - part.shape[1]
        return images.surround(part, (above, below, beside, beyond), background)


def _fractions(window: Window, size: Pair) -> Boxes:
    """Returns a window as fractions of a picture of (height, width)."""
    right, bottom = window.left + window.width, window.top + window.height
    return fractions((window.left, window.top, right, bottom), size)


def _cropped(window: Window, crop: Boxes) -> Window:
    """Returns the part of a window that is told as fractions of it."""
    # Caffe: places and sizes are cut off to whole pixels; a crop without any ends it (data_transformer.cpp).
    corners = crop.reshape(2, 2) * np.array([window.width, window.height], np.float32)
    (left, top), (width, height) = corners[0].astype(int), (corners[1] - corners[0]).astype(int)
    return Window(
        top=window.top + int(top),
        left=window.left + int(left),
        height=max(int(height), 1),
        width=max(int(width), 1),
    )
