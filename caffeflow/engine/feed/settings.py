"""`transform_param`, read for one layer: what all data layers know, and what SSD's fork adds.

What a layer does not honour is refused: ignoring it would train on other images than the file asks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.engine.feed.noise import Noise
from caffeflow.engine.feed.resizing import Resizing
from caffeflow.errors import DataError, NetError, WeightsError
from caffeflow.images import Mode
from caffeflow.layers.data import read_crop
from caffeflow.layers.params import Pair, dims
from caffeflow.layers.spec import Shape
from caffeflow.proto.binary import read_binaryproto
from caffeflow.proto.caffe_pb2 import LayerParameter

Floats = NDArray[np.float32]

_OF_ANNOTATED: Final = ("distort_param", "expand_param", "emit_constraint")


@contextmanager
def naming(layer: LayerParameter) -> Iterator[None]:
    """Adds the layer's name to errors of its settings."""
    try:
        yield
    except NetError as error:
        error.layer = error.layer or layer.name
        raise


@dataclass(frozen=True, kw_only=True)
class TransformSettings:
    """What `transform_param` asks for.

    Attributes:
        crop: (height, width) of the window; None: the record as it is.
        mean: (1,) or (C,) values, or the (C, H, W) of a mean file; None: nothing is subtracted.
        mean_file: Where `mean` is from, if it is an image.
        mode: How encoded records are decoded.
        resize: How decoded pictures are resized first.
        noise: What is done to them then.
        is_forks: It has what only SSD's fork knows, whose transformer goes by other rules.
    """

    scale: float
    mirror: bool
    crop: Pair | None
    mean: Floats | None
    mean_file: Path | None
    mode: Mode
    resize: Resizing | None
    noise: Noise | None
    is_forks: bool

    @classmethod
    def read(cls, layer: LayerParameter) -> TransformSettings:
        """Reads `transform_param` and its mean file.

        Raises:
            NetError: Fields contradict each other, or are not honoured.
        """
        param = layer.transform_param
        for field in _OF_ANNOTATED:
            if param.HasField(field) and layer.type != "AnnotatedData":
                what = f"{field} in transform_param acts in AnnotatedData only, in Caffe too"
                raise NetError(f"{what}, and this is '{layer.type}'; remove it", layer=layer.name)
        if param.force_color and param.force_gray:
            raise NetError(
                "force_color and force_gray in transform_param exclude each other", layer=layer.name
            )
        if param.HasField("mean_file") and param.mean_value:
            raise NetError("transform_param has mean_file and mean_value; keep one", layer=layer.name)
        mean_file = Path(param.mean_file) if param.HasField("mean_file") else None
        mean = np.array(param.mean_value, np.float32) if param.mean_value else None
        with naming(layer):
            resize, noise, crop = Resizing.find(layer), Noise.find(layer), read_crop(layer)
        return cls(
            scale=param.scale,
            mirror=param.mirror,
            crop=crop,
            mean=_read_mean(mean_file) if mean_file else mean,
            mean_file=mean_file,
            mode="color" if param.force_color else "gray" if param.force_gray else "unchanged",
            resize=resize,
            noise=noise,
            is_forks=bool(resize or noise or (param.crop_h and not param.crop_size)),
        )

    def find_misfit(self, record: Shape, *, cropped: bool) -> str | None:
        """Returns why (C, H, W) does not fit crop or mean, as a phrase; None if it does.

        Args:
            record: What is to be cropped.
            cropped: Whether a mean file has the size of the crop; otherwise that of the record.
        """
        channels, height, width = record
        crop, mean = self.crop or (height, width), self.mean
        if crop[0] > height or crop[1] > width:
            shown = f"crop_size is {crop[0]}" if crop[0] == crop[1] else f"crop_h x crop_w is {dims(crop)}"
            return f"{shown}; make it smaller or prepare larger images"
        if mean is not None and mean.ndim == 1 and len(mean) not in (1, channels):
            return f"there are {len(mean)} mean_value; give one, or one for each channel"
        if mean is None or mean.ndim == 1:
            return None
        found = f"mean_file '{self.mean_file}' is {dims(mean.shape)}"
        if cropped and crop != (height, width):
            # Caffe: takes the mean at places of the uncropped picture, beyond its end (data_transformer.cpp).
            return f"it is cropped, and {found}; SSD's transformer can use a mean image only without cropping"
        if mean.shape != record:
            wanted = "the resized pictures" if cropped else "the records before cropping"
            return f"{found}; it must have the size of {wanted}"
        return None


def _read_mean(path: Path) -> Floats:
    try:
        mean = read_binaryproto(path)
    except WeightsError as error:  # a mean is data to the user, weights only by its format
        raise DataError(str(error)) from error
    if mean.ndim != 4 or mean.shape[0] != 1:
        raise DataError(f"{path}: is an array of {dims(mean.shape)}; expected a mean image, 1 x C x H x W")
    return mean.reshape(mean.shape[1:])
