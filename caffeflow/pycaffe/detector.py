"""`Detector`: a net that scores windows of pictures, one by one, as R-CNN does.

The rule to know: a window is (ymin, xmin, ymax, xmax) in pixels. With `context_pad` some of the picture
around it is taken along, so that the window itself fills the net's input but for so many pixels at each
side; what lies outside of the picture is filled with the mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from caffeflow.errors import UsageError
from caffeflow.pycaffe.mode import TEST
from caffeflow.pycaffe.net import Net
from caffeflow.pycaffe.pictures import load_image, resize_image
from caffeflow.pycaffe.transformer import picture_transformer

Window = Sequence[float] | NDArray[Any]
Picture = NDArray[np.float32]


class Detection(TypedDict):
    """What the net says of one window."""

    window: Window
    prediction: NDArray[np.float32]
    filename: str | os.PathLike[str]


class Detector(Net):
    """A net in the phase TEST with one input for pictures, the first.

    Args:
        model_file: The prototxt.
        pretrained_file: Its weights.
        mean: As `Transformer.set_mean` takes it; likewise the others.
        input_scale: A factor after the mean is taken off.
        raw_scale: A factor before that.
        channel_swap: Order of channels, (2, 1, 0) for nets that see BGR.
        context_pad: Pixels of the input, at each side, that show what is around a window.
    """

    def __init__(
        self,
        model_file: str | Path,
        pretrained_file: str | Path | None,
        mean: NDArray[Any] | None = None,
        input_scale: float | None = None,
        raw_scale: float | None = None,
        channel_swap: Sequence[int] | None = None,
        context_pad: int | None = None,
    ) -> None:
        super().__init__(model_file, TEST, weights=pretrained_file)
        in_ = self.inputs[0]
        shape = self.blobs[in_].data.shape
        self.transformer = picture_transformer(
            in_, shape, mean=mean, input_scale=input_scale, raw_scale=raw_scale, channel_swap=channel_swap
        )
        self.configure_crop(context_pad)

    def detect_windows(
        self, images_windows: Iterable[tuple[str | os.PathLike[str], Sequence[Window]]]
    ) -> list[Detection]:
        """Returns what the net says of each window, in the order given.

        Args:
            images_windows: Picture files, each with its windows.
        """
        asked = [(filename, list(windows)) for filename, windows in images_windows]
        in_ = self.inputs[0]
        planes = [
            self.transformer.preprocess(in_, self.crop(image, window))
            for filename, windows in asked
            for image in [load_image(filename)]
            for window in windows
        ]
        if not planes:
            return []
        batch: dict[str, Any] = {in_: np.stack(planes)}
        scores = self.forward_all(**batch)[self.outputs[0]]
        places = [(filename, window) for filename, windows in asked for window in windows]
        return [
            Detection(window=window, prediction=prediction, filename=filename)
            for (filename, window), prediction in zip(places, scores, strict=True)
        ]

    def detect_selective_search(self, image_fnames: Sequence[str]) -> list[Detection]:
        """Is refused: the proposals come from MATLAB code that is no part of Caffe either.

        Raises:
            UsageError: Always.
        """
        raise UsageError(
            f"detect_selective_search of {len(image_fnames)} pictures: selective search is MATLAB code beside"
            " Caffe (selective_search_ijcv_with_python) and is not run from here; make the windows yourself"
            " and call detect_windows([(file, windows), …])"
        )

    def crop(self, im: Picture, window: Window) -> Picture:
        """Returns the part of a picture (H, W, K) that a window shows, with context if that is set.

        Raises:
            ValueError: The window lies outside of the picture.
        """
        ymin, xmin, ymax, xmax = (int(value) for value in window)
        part = self._with_context(im, window) if self.context_pad else im[ymin:ymax, xmin:xmax]
        if 0 in part.shape:
            raise ValueError(
                f"window {tuple(window)} (ymin, xmin, ymax, xmax) is not within the picture of"
                f" {im.shape[0]}x{im.shape[1]}"
            )
        return part

    def configure_crop(self, context_pad: int | None) -> None:
        """Sets how much context to take along, and what to fill with where the picture ends."""
        in_ = self.inputs[0]
        settings = self.transformer
        back = np.argsort(settings.transpose[in_])
        self.crop_dims = np.array(self.blobs[in_].data.shape[1:])[back]
        self.context_pad = context_pad
        self.crop_mean = np.zeros(self.crop_dims, np.float32)
        if in_ in settings.mean:  # in the terms of the picture as it is given
            mean = settings.mean[in_].transpose(back)
            if in_ in settings.channel_swap:
                mean = mean[:, :, np.argsort(settings.channel_swap[in_])]
            self.crop_mean = self.crop_mean + mean / settings.raw_scale.get(in_, 1)

    def _with_context(self, im: Picture, window: Window) -> Picture:
        """Returns the picture around a window, in the size of the input, which Caffe takes to be square."""
        assert self.context_pad is not None  # noqa: S101 - asked before
        size = self.blobs[self.inputs[0]].data.shape[3]
        begin, end = np.array(window[:2], float), np.array(window[2:], float)
        half = (end - begin + 1) / 2
        reach = half * size / (size - 2 * self.context_pad)
        begin, end = np.round(begin + half - reach), np.round(begin + half + reach)
        scale = size / (end - begin + 1)
        before = np.round(np.maximum(0, -begin) * scale).astype(int)
        limits = np.array(im.shape[:2], float)
        first, last = (np.clip(corner, 0, limits).astype(int) for corner in (begin, end))
        shown = im[first[0] : last[0], first[1] : last[1]]
        room = np.minimum(np.round((last - first + 1) * scale).astype(int), size - before)
        crop = np.broadcast_to(self.crop_mean, self.crop_dims).astype(np.float32)
        if 0 in shown.shape or (room <= 0).any():
            return shown[:0]
        top, left = before
        crop[top : top + room[0], left : left + room[1]] = resize_image(shown, room.tolist())
        return crop
