"""`Transformer`: pictures to a net's input and back.

The order is fixed: resize, transpose, swap channels, raw scale, mean, input scale. What is not set is
left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffeflow.pycaffe.pictures import resize_image

Array = NDArray[Any]


class Transformer:
    """Formats pictures for net inputs; each input has its own settings.

    Args:
        inputs: The shape (N, C, H, W) of each input blob, by its name.
    """

    def __init__(self, inputs: Mapping[str, Sequence[int]]) -> None:
        self.inputs = inputs
        self.transpose: dict[str, Sequence[int]] = {}
        self.channel_swap: dict[str, Sequence[int]] = {}
        self.raw_scale: dict[str, float] = {}
        self.mean: dict[str, Array] = {}
        self.input_scale: dict[str, float] = {}

    def preprocess(self, in_: str, data: Array) -> NDArray[np.float32]:
        """Returns a picture (H', W', K) as the net's input takes it; `data` itself stays as it is."""
        wanted = self._shape(in_)[2:]
        # Caffe: without a resize or a swap it scales the caller's own array (io.py); a copy here.
        image = data.astype(np.float32)
        if image.shape[:2] != wanted:
            image = resize_image(image, wanted)
        if in_ in self.transpose:
            image = image.transpose(self.transpose[in_])
        if in_ in self.channel_swap:
            image = image[list(self.channel_swap[in_])]
        if in_ in self.raw_scale:
            image *= self.raw_scale[in_]
        if in_ in self.mean:
            image -= self.mean[in_]
        if in_ in self.input_scale:
            image *= self.input_scale[in_]
        return image

    def deprocess(self, in_: str, data: Array) -> Array:
        """Returns what `preprocess` was given, but for its size."""
        self._shape(in_)
        image = data.copy().squeeze()
        order = self.transpose.get(in_)
        if order is not None and image.ndim != len(order):  # sides or channels of 1 are no batch
            image = data.copy().reshape(data.shape[-len(order) :])
        if in_ in self.input_scale:
            image /= self.input_scale[in_]
        if in_ in self.mean:
            image += self.mean[in_]
        if in_ in self.raw_scale:
            image /= self.raw_scale[in_]
        if in_ in self.channel_swap:
            image = image[np.argsort(self.channel_swap[in_])]
        return image if order is None else image.transpose(np.argsort(order))

    def set_transpose(self, in_: str, order: Sequence[int]) -> None:
        """Sets the order of axes: (2, 0, 1) makes planes (K, H, W) of a picture (H, W, K)."""
        axes = len(self._shape(in_)) - 1
        if len(order) != axes:
            raise ValueError(
                f"set_transpose: the order {tuple(order)} of input '{in_}' has {len(order)} axes;"
                f" expected {axes}, those of its blob without the batch"
            )
        self.transpose[in_] = order

    def set_channel_swap(self, in_: str, order: Sequence[int]) -> None:
        """Sets the order of channels after transposing: (2, 1, 0) makes BGR of RGB."""
        channels = self._shape(in_)[1]
        if len(order) != channels:
            raise ValueError(
                f"set_channel_swap: the order {tuple(order)} of input '{in_}' has {len(order)} channels;"
                f" expected {channels}, those of its blob"
            )
        self.channel_swap[in_] = order

    def set_raw_scale(self, in_: str, scale: float) -> None:
        """Sets a factor for the values before the mean is taken off, such as 255."""
        self._shape(in_)
        self.raw_scale[in_] = scale

    def set_mean(self, in_: str, mean: Array) -> None:
        """Sets what is taken off: a value for each channel, or a mean image, which is resized to fit.

        Raises:
            ValueError: There is not a value for each channel, or the array is no image.
        """
        shape = self._shape(in_)
        if mean.ndim == 1:
            if mean.shape[0] != shape[1]:
                raise ValueError(
                    f"set_mean: the mean of input '{in_}' has {mean.shape[0]} values;"
                    f" expected {shape[1]}, one for each channel"
                )
            mean = mean[:, np.newaxis, np.newaxis]
        else:
            planes = mean[np.newaxis] if mean.ndim == 2 else mean
            if planes.ndim != 3:
                raise ValueError(
                    f"set_mean: the mean of input '{in_}' has the shape {mean.shape};"
                    " expected (C,), (H, W) or (C, H, W)"
                )
            if planes.shape != shape[1:]:
                mean = resize_image(planes.transpose(1, 2, 0), shape[2:]).transpose(2, 0, 1)
        self.mean[in_] = mean

    def set_input_scale(self, in_: str, scale: float) -> None:
        """Sets a factor for the values after the mean is taken off."""
        self._shape(in_)
        self.input_scale[in_] = scale

    def _shape(self, in_: str) -> tuple[int, ...]:
        if in_ not in self.inputs:
            raise ValueError(f"'{in_}' is no input of this transformer; it has {', '.join(self.inputs)}")
        return tuple(self.inputs[in_])


def picture_transformer(
    in_: str,
    shape: Sequence[int],
    *,
    mean: Array | None,
    input_scale: float | None,
    raw_scale: float | None,
    channel_swap: Sequence[int] | None,
) -> Transformer:
    """Returns a transformer of pictures (H, W, K) for one input, with those settings that are given."""
    transformer = Transformer({in_: shape})
    transformer.set_transpose(in_, (2, 0, 1))
    if mean is not None:
        transformer.set_mean(in_, mean)
    if input_scale is not None:
        transformer.set_input_scale(in_, input_scale)
    if raw_scale is not None:
        transformer.set_raw_scale(in_, raw_scale)
    if channel_swap is not None:
        transformer.set_channel_swap(in_, channel_swap)
    return transformer
