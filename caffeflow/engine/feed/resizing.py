"""`resize_param`: pictures and their boxes at the size that a net wants.

The interpolation is drawn for each picture among those listed. With height_scale and width_scale boxes
are at last told as fractions of that size instead of the crop's (FIT_SMALL_SIZE only).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final, get_args

import numpy as np
from numpy.typing import NDArray

from caffeflow import images
from caffeflow.engine.feed.boxes import Boxes
from caffeflow.engine.feed.draws import Draw, RecordDraws
from caffeflow.engine.feed.ground_truth import GroundTruth
from caffeflow.errors import DataError
from caffeflow.layers.data import ResizeRule
from caffeflow.layers.params import Pair
from caffeflow.proto.caffe_pb2 import LayerParameter, ResizeParameter

_INTERPOLATIONS: Final[dict[str, images.Interpolation]] = {
    name: name for name in get_args(images.Interpolation)
}
_PADDINGS: Final[dict[str, images.Padding]] = {name: name for name in get_args(images.Padding)}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Resizing:
    """How pictures are resized.

    Attributes:
        rule: To which sizes.
        interpolations: One of them for each picture.
        pad_value: Of the margins: none, one, or one a channel.
        scale: (height, width) of which boxes are fractions at last; None: of the crop.
    """

    rule: ResizeRule
    interpolations: tuple[images.Interpolation, ...]
    padding: images.Padding
    pad_value: tuple[float, ...]
    scale: Pair | None

    @classmethod
    def find(cls, layer: LayerParameter) -> Resizing | None:
        """Reads `resize_param`; None if it is not there."""
        rule = ResizeRule.find(layer)
        if rule is None:
            return None
        param = layer.transform_param.resize_param
        if param.prob != 1:
            _log.warning("layer '%s': prob in resize_param has no effect, as in Caffe", layer.name)
        has_scale = param.height_scale and param.width_scale and rule.mode == "FIT_SMALL_SIZE"
        if (param.height_scale or param.width_scale) and not has_scale:
            _log.warning(
                "layer '%s': height_scale and width_scale in resize_param have an effect together and with"
                " FIT_SMALL_SIZE only, as in Caffe",
                layer.name,
            )
        names = [ResizeParameter.Interp_mode.Name(mode) for mode in param.interp_mode]
        return cls(
            rule=rule,
            interpolations=tuple(_INTERPOLATIONS[name] for name in names) or ("LINEAR",),
            padding=_PADDINGS[ResizeParameter.Pad_mode.Name(param.pad_mode)],
            pad_value=tuple(param.pad_value),
            scale=(param.height_scale, param.width_scale) if has_scale else None,
        )

    def picture(
        self, image: images.Image, draws: RecordDraws, *, even_from: Pair | None = None
    ) -> images.Image:
        """Returns the picture resized.

        Args:
            image: The picture.
            draws: Its record's.
            even_from: Row and column behind which it is of one colour.

        Raises:
            DataError: The margins' values are not as many as the channels.
        """
        height, width = self.rule.picture_size(*image.shape[:2])
        chosen = self.interpolations[draws.below(Draw.INTERPOLATION, len(self.interpolations))]
        content = images.resize(image, height, width, chosen, even_from=even_from)
        if self.rule.mode != "FIT_LARGE_SIZE_AND_PAD":
            return content
        channels = image.shape[2] if image.ndim == 3 else 1
        if len(self.pad_value) not in (0, 1, channels):
            found = f"{len(self.pad_value)} pad_value for {channels} channels"
            raise DataError(f"there are {found}; give one, or one for each channel")
        value = self.pad_value * channels if len(self.pad_value) == 1 else self.pad_value
        below, beside = self.rule.height - height, self.rule.width - width
        margins = (below // 2, below - below // 2, beside // 2, beside - beside // 2)
        return images.surround(content, margins, value, padding=self.padding)

    def boxes(self, truth: GroundTruth, size: Pair) -> GroundTruth:
        """Returns the boxes as fractions of the resized picture, clipped on the sides that SSD clips.

        Args:
            truth: In fractions of the picture before.
            size: (height, width) of the picture before.
        """
        if not len(truth.rows):
            return truth
        # Caffe: by way of pixels, and the margins are not rounded to whole ones (im_transforms.cpp).
        old = np.array([size[1], size[0]], np.float32)
        new, content = self._frames(size)
        margin = (new - content) / np.float32(2)
        corners = truth.boxes.reshape(-1, 2, 2) * old * (new - np.float32(2) * margin) / old
        corners[:, 0] = margin + np.maximum(corners[:, 0], 0)
        corners[:, 1] = margin + np.minimum(corners[:, 1], new)
        return truth.moved((corners / new).reshape(-1, 4))

    def rescaled(self, truth: GroundTruth, size: Pair, crop: Boxes) -> GroundTruth:
        """Returns the boxes as fractions of `scale`, where the net asks for that.

        Args:
            truth: In fractions of the crop.
            size: (height, width) of the picture before it was resized.
            crop: The crop, in fractions of the resized picture.

        Raises:
            DataError: The crop is smaller than the scale.
        """
        if self.scale is None or not len(truth.rows):
            return truth
        scale = np.array([self.scale[1], self.scale[0]], np.float32)
        cropped = self._frames(size)[0] * (crop[2:] - crop[:2])
        if (cropped < scale).any():
            found = f"the crop is {cropped[1]:g} x {cropped[0]:g}"
            asked = f"height_scale {self.scale[0]} and width_scale {self.scale[1]} in resize_param"
            raise DataError(f"{found}, which {asked} must not exceed")
        corners = truth.boxes.reshape(-1, 2, 2) * cropped / scale
        return truth.moved(corners.reshape(-1, 4))

    def _frames(self, size: Pair) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Returns (width, height) of the result and of the picture in it, neither rounded."""
        new = np.array([self.rule.width, self.rule.height], np.float32)
        if self.rule.mode == "WARP":
            return new, new
        is_cover = self.rule.mode == "FIT_SMALL_SIZE"
        aspect, asked = np.float32(size[1]) / np.float32(size[0]), new[0] / new[1]
        keeps_width = aspect < asked if is_cover else aspect > asked
        sides = [new[0], new[0] / aspect] if keeps_width else [aspect * new[1], new[1]]
        content = np.array(sides, np.float32)
        return (content, content) if is_cover else (new, content)
