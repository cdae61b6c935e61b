"""WindowData: windows cut from listed images, some with an object and some of the background.

What is Caffe's own here:
  * of each batch the first int(batch_size * fg_fraction) from the end show an object, the others background;
    both are drawn at random, in TEST too, and so is the mirror;
  * a window with less overlap than bg_threshold is background, whatever its label;
  * `crop_size`, `mirror` and the mean are those of `transform_param`, but `scale` is that of
    `window_data_param`; images are always read in colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from caffeflow.errors import NetError
from caffeflow.layers.data import single
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter

CHANNELS: Final = 3
CROP_MODES: Final = ("warp", "square")
_OF_FORKS: Final = ("crop_h", "crop_w", "resize_param", "noise_param")


@dataclass(frozen=True, kw_only=True)
class WindowParams:
    """The settings of WindowData.

    Attributes:
        crop: The side of the square that a window becomes.
        objects: How many of a batch show an object.
        least_overlap: With so much or more a window shows an object.
        background_overlap: With less it is background.
        context_pad: How many pixels around the window are to be seen on each side of the crop.
        is_square: A window is widened to a square first, so that nothing is distorted.
        root_folder: Stands before every path of the source, as it is.
        is_cached: Image files are kept in memory.
    """

    source: str
    batch_size: int
    crop: int
    objects: int
    least_overlap: float
    background_overlap: float
    context_pad: int
    is_square: bool
    scale: float
    mirror: bool
    root_folder: str
    is_cached: bool

    @classmethod
    def read(cls, layer: LayerParameter) -> WindowParams:
        """Reads `window_data_param`, and the crop and the mirror from `transform_param`."""
        param, transform = layer.window_data_param, layer.transform_param
        if not param.source:
            raise NetError("source is missing in window_data_param; it is the path of the window file")
        if param.batch_size < 1:
            raise NetError(f"batch_size is {param.batch_size} in window_data_param; it must be at least 1")
        if transform.crop_size < 1:
            raise NetError("crop_size is missing in transform_param; windows become squares of that size")
        for field in _OF_FORKS:
            if transform.HasField(field):
                raise NetError(f"{field} in transform_param has no effect on WindowData; remove it")
        if param.crop_mode not in CROP_MODES:
            raise NetError(f"crop_mode is '{param.crop_mode}'; expected {' or '.join(CROP_MODES)}")
        if 2 * param.context_pad >= transform.crop_size:
            found = f"context_pad is {param.context_pad}, crop_size {transform.crop_size}"
            raise NetError(f"{found}; twice the padding must be less than the crop")
        if not 0 <= param.fg_fraction <= 1:
            raise NetError(f"fg_fraction is {param.fg_fraction:g}; it must be from 0 to 1")
        return cls(
            source=param.source,
            batch_size=param.batch_size,
            crop=transform.crop_size,
            objects=int(single(param.batch_size * param.fg_fraction)),
            least_overlap=param.fg_threshold,
            background_overlap=param.bg_threshold,
            context_pad=param.context_pad,
            is_square=param.crop_mode == "square",
            scale=param.scale,
            mirror=transform.mirror,
            root_folder=param.root_folder,
            is_cached=param.cache_images,
        )


def shapes(params: WindowParams, _bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the batch of windows, and their labels."""
    return [(params.batch_size, CHANNELS, params.crop, params.crop), (params.batch_size,)]


register(
    LayerSpec(
        type="WindowData",
        bottoms=0,
        tops=2,
        read=WindowParams.read,
        shapes=shapes,
        settings=("transform_param",),
        note="scale in transform_param has no effect, as in Caffe; set that of window_data_param",
    )
)
