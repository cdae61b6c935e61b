"""`Classifier`: a net that is given pictures and answers with scores.

The rule to know: pictures are brought to `image_dims` first, and the net sees crops of those in its own
size: ten of them, averaged, or the middle one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.pycaffe.mode import TEST
from caffeflow.pycaffe.net import Net
from caffeflow.pycaffe.pictures import Dims, resize_image
from caffeflow.pycaffe.pictures import oversample as ten_crops
from caffeflow.pycaffe.transformer import picture_transformer

_CROPS: Final = 10


class Classifier(Net):
    """A net in the phase TEST with one input for pictures, the first.

    Args:
        model_file: The prototxt.
        pretrained_file: Its weights.
        image_dims: Height and width that pictures are brought to; None: those of the input.
        mean: As `Transformer.set_mean` takes it; likewise the others.
        input_scale: A factor after the mean is taken off.
        raw_scale: A factor before that.
        channel_swap: Order of channels, (2, 1, 0) for nets that see BGR.
    """

    def __init__(
        self,
        model_file: str | Path,
        pretrained_file: str | Path | None,
        image_dims: Sequence[int] | None = None,
        mean: NDArray[Any] | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        in_ = self.inputs[0]
        shape = self.blobs[in_].data.shape
        self.transformer = picture_transformer(
            in_, shape, mean=mean, input_scale=input_scale, raw_scale=raw_scale, channel_swap=channel_swap
        )
        self.crop_dims = np.array(shape[2:])
        self.image_dims: Dims = self.crop_dims if image_dims is None or len(image_dims) == 0 else image_dims

    def predict(self, inputs: Sequence[NDArray[Any]], oversample: bool = True) -> NDArray[np.float32]:
        """Returns the scores (N, C) of pictures (H, W, K).

        Args:
            inputs: The pictures, RGB between 0 and 1 as `io.load_image` gives them, of any sizes.
            oversample: Whether to average over ten crops; False: only the middle one.
        """
        pictures = np.stack([resize_image(picture, self.image_dims) for picture in inputs])
        crops = ten_crops(pictures, self.crop_dims) if oversample else self._middle(pictures)
        in_ = self.inputs[0]
        planes: dict[str, Any] = {in_: np.stack([self.transformer.preprocess(in_, crop) for crop in crops])}
        scores: NDArray[np.float32] = self.forward_all(**planes)[self.outputs[0]]
        if oversample:
            scores = scores.reshape(len(pictures), _CROPS, -1).mean(axis=1)
        return scores

    def _middle(self, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        height, width = (int(size) for size in self.crop_dims)
        if height > pictures.shape[1] or width > pictures.shape[2]:
            raise ValueError(
                f"image_dims {tuple(self.image_dims)} are less than the net's input, {height}x{width}"
            )
        top, left = (pictures.shape[1] - height) // 2, (pictures.shape[2] - width) // 2
        return pictures[:, top : top + height, left : left + width]
