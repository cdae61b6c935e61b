"""Decoding, encoding and resizing pictures, as Caffe does it: arrays are (H, W, C) or (H, W), uint8, BGR.

This module and `evaluate/opencv_check.py` alone import cv2, the library that Caffe decodes with. The rule
to know is who turns a photo upright: the modes "color" and "gray" obey the EXIF orientation, as Caffe
does when it reads a file (convert_imageset, ImageData) or is forced to a colour; "unchanged" ignores it,
as Caffe does with an encoded Datum.

Caffe takes what OpenCV makes of a broken file. Here a picture that is not whole is refused, and
`ImageError.reason` says in one word why, so that rejects can be counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Literal, TypeVar, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from caffeflow.errors import DataError
from caffeflow.image_bytes import is_whole, sniff

Image = NDArray[np.uint8]
Pixels = TypeVar("Pixels", bound=NDArray[Any])  # bytes, or the floats of records that hold such
Mode = Literal["color", "gray", "unchanged"]
Reason = Literal["empty", "truncated", "corrupt", "16-bit", "unsupported"]
Interpolation = Literal["LINEAR", "AREA", "NEAREST", "CUBIC", "LANCZOS4"]
Padding = Literal["CONSTANT", "MIRRORED", "REPEAT_NEAREST"]

# ANYDEPTH keeps 16-bit samples as they are, so that they are seen and refused instead of rounded.
_FLAGS: Final[dict[str, int]] = {
    "color": cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH,
    "gray": cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH,
    "unchanged": cv2.IMREAD_UNCHANGED,
}
_INTERPOLATIONS: Final[dict[Interpolation, int]] = {
    "LINEAR": cv2.INTER_LINEAR,
    "AREA": cv2.INTER_AREA,
    "NEAREST": cv2.INTER_NEAREST,
    "CUBIC": cv2.INTER_CUBIC,
    "LANCZOS4": cv2.INTER_LANCZOS4,
}
_PADDINGS: Final[dict[Padding, int]] = {
    "CONSTANT": cv2.BORDER_CONSTANT,
    "MIRRORED": cv2.BORDER_REFLECT_101,  # without the outermost pixels a second time
    "REPEAT_NEAREST": cv2.BORDER_REPLICATE,
}
_REACH: Final = 6  # source pixels, more than any interpolation looks aside
_DARK: Final = 128
_ADVICE: Final[dict[str, str]] = {
    "empty": "it has no bytes",
    "truncated": "it ends too early; fetch or copy it again",
    "corrupt": "its data cannot be decoded; fetch or copy it again",
    "16-bit": "it has more than 8 bits a channel, expected 8; convert it first",
    "unsupported": "it is not a picture that OpenCV reads (JPEG, PNG, BMP, TIFF, WebP)",
}

# Errors only: what OpenCV warns of, a broken picture, is raised here.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)


class ImageError(DataError):
    """A picture that cannot be used.

    Args:
        reason: One word for counting.
        name: What the user knows the picture by: a path, or a key.
    """

    def __init__(self, reason: Reason, name: str) -> None:
        super().__init__(f"image '{name}' is {reason}: {_ADVICE[reason]}")
        self.reason: Reason = reason
        self.name = name

    def __reduce__(self) -> tuple[type[ImageError], tuple[Reason, str]]:
        """Pickles by reason and name: worker processes hand their errors over."""
        return type(self), (self.reason, self.name)


def decode(data: bytes, mode: Mode, *, name: str = "", as_stored: bool = False) -> Image:
    """Returns the pixels of an encoded picture, (H, W, 3) for "color", (H, W) for "gray".

    Args:
        data: The bytes of the file, whole.
        mode: "color" and "gray" convert and obey the EXIF orientation; "unchanged" does neither, so
            gray pictures have two axes, and a PNG with alpha has four channels.
        name: For messages.
        as_stored: Whether the other modes are to ignore the orientation too.

    Raises:
        ImageError: The bytes are not one whole 8-bit picture.
    """
    if len(data) == 0:
        raise ImageError("empty", name)
    if not is_whole(data):
        raise ImageError("truncated", name)
    flags = _FLAGS[mode] | (cv2.IMREAD_IGNORE_ORIENTATION if as_stored else 0)
    try:
        image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise ImageError("corrupt", name) from error
    if image is None:
        raise ImageError("corrupt" if sniff(data) else "unsupported", name)
    if image.dtype != np.uint8:
        raise ImageError("16-bit" if image.dtype.itemsize == 2 else "unsupported", name)
    pixels: Image = image
    return pixels


def encode(image: Image, encoding: str, *, quality: int = 95) -> bytes:
    """Returns a picture as the bytes of a file, as Caffe writes them into a Datum.

    Args:
        image: (H, W) or (H, W, C), BGR.
        encoding: The name without a dot: "jpg", "png".
        quality: Of a JPEG; 95 is OpenCV's default, thus Caffe's.

    Raises:
        DataError: OpenCV has no such encoding.
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality] if encoding in ("jpg", "jpeg") else []
    try:
        _, data = cv2.imencode(f".{encoding}", image, options)
    except cv2.error as error:
        shape = "x".join(map(str, image.shape))
        raise DataError(f"cannot encode a {shape} image as '{encoding}'; expected 'jpg' or 'png'") from error
    return data.tobytes()


def resize_squash(image: Image, height: int, width: int) -> Image:
    """Returns the picture at exactly this size, aspect ignored: bilinear, as Caffe resizes."""
    resized: Any = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return _as_image(resized)


def resize_short_side(image: Image, size: int) -> Image:
    """Returns the picture with its shorter side at `size`, aspect kept; bilinear."""
    height, width = image.shape[:2]
    scale = size / min(height, width)
    return resize_squash(image, max(size, round(height * scale)), max(size, round(width * scale)))


def resize_by(image: Image, factor: float) -> Image:
    """Returns the picture scaled on both axes by exactly this factor, its sides rounded; bilinear.

    The pixels are not those of `resize_squash` to the same size, where rounded sides are the measure.
    """
    resized: Any = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    return _as_image(resized)


def to_gray(image: Image) -> Image:
    """Returns a BGR picture (H, W, 3) as gray (H, W), by the luma weights of JPEG."""
    gray: Any = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return _as_image(gray)


def resize(
    image: Image, height: int, width: int, interpolation: Interpolation, *,
    even_from: tuple[int, int] | None = None,
) -> Image:  # fmt: skip
    """Returns the picture at exactly this size, by one of Caffe's interpolations.

    Args:
        image: The picture.
        height: Of the result.
        width: Of the result.
        interpolation: How to find its pixels.
        even_from: Row and column; below and to the right of them is one colour only. Where it takes long,
            what lies far behind them is left out of the work, which does not change the result.
    """
    if even_from is not None and interpolation in ("AREA", "LANCZOS4"):
        part = _resize_uneven(image, (height, width), _INTERPOLATIONS[interpolation], even_from)
        if part is not None:
            margins = (0, height - part.shape[0], 0, width - part.shape[1])
            return surround(part, margins, np.atleast_1d(image[-1, -1]).tolist())
    resized: Any = cv2.resize(image, (width, height), interpolation=_INTERPOLATIONS[interpolation])
    return _as_image(resized)


def _resize_uneven(
    image: Image, size: tuple[int, int], interpolation: int, even_from: tuple[int, int]
) -> Image | None:
    """Returns the part of a resized picture before what is even; None if that gains nothing or may err."""
    scales = [old / new for old, new in zip(image.shape[:2], size, strict=True)]
    wanted = [int((at + _REACH) / scale) + 1 for at, scale in zip(even_from, scales, strict=True)]
    ends = [int(out * scale) + _REACH + 1 for out, scale in zip(wanted, scales, strict=True)]
    is_most = 4 * ends[0] * ends[1] > 3 * image.shape[0] * image.shape[1]
    # Lanczos' weights are rounded: the sum is off by 3 of 2048 at most, which shows in lighter colours only.
    is_light = interpolation == cv2.INTER_LANCZOS4 and int(image[-1, -1].max()) > _DARK
    if is_most or is_light or min(scales) < 1:
        return None
    rows, columns = (min(out, most) for out, most in zip(wanted, size, strict=True))
    factors = [new / old for old, new in zip(image.shape[:2], size, strict=True)]
    part = image[: ends[0], : ends[1]]
    resized: Any = cv2.resize(part, None, fx=factors[1], fy=factors[0], interpolation=interpolation)
    return _as_image(resized[:rows, :columns])


def surround(
    image: Pixels, margins: tuple[int, int, int, int], value: Sequence[float] = (), *,
    padding: Padding = "CONSTANT",
) -> Pixels:  # fmt: skip
    """Returns the picture with margins around it.

    Args:
        image: Of any number of channels up to four.
        margins: Top, bottom, left, right.
        value: Of the margins' pixels, where the padding is constant; rounded to a byte.
        padding: What the margins show.
    """
    wider: Any = cv2.copyMakeBorder(image, *margins, _PADDINGS[padding], value=tuple(value))
    return cast("Pixels", wider)


def mirrored(image: Pixels) -> Pixels:
    """Returns the picture with left and right exchanged."""
    return cast("Pixels", cv2.flip(image, 1))


def planes_of(image: Pixels) -> list[Pixels]:
    """Returns each channel as an array (H, W) of its own."""
    return [image] if image.ndim == 2 else [cast("Pixels", plane) for plane in cv2.split(image)]


def from_planes(planes: Pixels) -> Pixels:
    """Returns planes (C, H, W) as a picture: (H, W) if it is one plane."""
    return cast("Pixels", planes[0] if len(planes) == 1 else cv2.merge(list(planes)))


def look_up(image: Image, table: Image) -> Image:
    """Returns the picture with each value replaced by its entry in a table of 256."""
    changed: Any = cv2.LUT(image, table)
    return _as_image(changed)


def shift(image: Image, delta: float) -> Image:
    """Returns the picture with `delta` added to each value: halves rounded to even, held within 0 and 255."""
    shifted: Any = cv2.addWeighted(image, 1, image, 0, delta)
    return _as_image(shifted)


def multiply(image: Image, factor: float) -> Image:
    """Returns the picture with each value times a factor of at least 0, rounded and held as by `shift`."""
    multiplied: Any = cv2.convertScaleAbs(image, alpha=factor)
    return _as_image(multiplied)


def change_hsv(image: Image, channel: Literal[0, 1, 2], change: Callable[[Image], Image]) -> Image:
    """Returns a BGR picture with its hue (0, from 0 to 179), saturation (1) or value (2) changed.

    OpenCV's way to hue and back is in bytes, so that pixels change a little even if nothing is changed.
    """
    planes = planes_of(to_hsv(image))
    planes[channel] = change(planes[channel])
    changed: Any = cv2.cvtColor(cv2.merge(planes), cv2.COLOR_HSV2BGR)
    return _as_image(changed)


def to_hsv(image: Image) -> Image:
    """Returns a BGR picture as hue (0 to 179), saturation and value."""
    hsv: Any = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    return _as_image(hsv)


def channel_means(image: Image) -> tuple[float, ...]:
    """Returns the mean of each channel."""
    channels = image.shape[2] if image.ndim == 3 else 1
    return tuple(cv2.mean(image)[:channels])


def mix_channels(image: Image, matrix: NDArray[np.float64]) -> Image:
    """Returns the picture with each pixel's channels mixed linearly, rounded and held within 0 and 255.

    Args:
        image: Of C channels.
        matrix: (C, C + 1): for each new channel the weights of the old ones, and what is added. OpenCV keeps
            them to ten bits or so, which may be one off in the result.
    """
    mixed: Any = cv2.transform(image, matrix)
    return _as_image(mixed)


def without_colour(image: Image) -> Image:
    """Returns a BGR picture as grays, still with three channels."""
    gray: Any = cv2.cvtColor(to_gray(image), cv2.COLOR_GRAY2BGR)
    return _as_image(gray)


def blur(image: Image) -> Image:
    """Returns the picture blurred: a Gaussian of 7x7 pixels with sigma 1.5."""
    blurred: Any = cv2.GaussianBlur(image, (7, 7), 1.5)
    return _as_image(blurred)


def erode(image: Image) -> Image:
    """Returns the picture with each value the least of those of a 3x3 ellipse, which is a cross."""
    eroded: Any = cv2.erode(image, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3)))
    return _as_image(eroded)


def equalize(image: Image, *, clip_limit: float | None = None) -> Image:
    """Returns the picture with its histogram of brightness made even; colours stay.

    Args:
        image: BGR (H, W, 3), or gray (H, W).
        clip_limit: Works in 8x8 tiles with contrast limited so (CLAHE); None: over the whole, unlimited.
    """
    if image.ndim == 2:
        even: Any = cv2.createCLAHE(clip_limit).apply(image) if clip_limit else cv2.equalizeHist(image)
        return _as_image(even)
    split: Any = cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb)
    luma = _as_image(cv2.extractChannel(split, 0))
    cv2.insertChannel(equalize(luma, clip_limit=clip_limit), split, 0)
    changed: Any = cv2.cvtColor(split, cv2.COLOR_YCrCb2BGR)
    return _as_image(changed)


def write_planes(image: Image, planes: Image) -> None:
    """Copies a picture, (H, W) or (H, W, C), into planes (C, H, W), as a raw Datum holds them."""
    cv2.split(image, list(planes))  # six times as fast as a transposing copy of numpy


def draw_text(image: Image, text: str, *, x: int, y: int, height: int) -> None:
    """Draws black ASCII text `height` pixels high into a picture, with its baseline's left end at (x, y)."""
    scale = cv2.getFontScaleFromHeight(cv2.FONT_HERSHEY_SIMPLEX, height)
    cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), 1, cv2.LINE_AA)


def text_width(text: str, *, height: int) -> int:
    """Returns how many pixels wide `draw_text` draws a text."""
    scale = cv2.getFontScaleFromHeight(cv2.FONT_HERSHEY_SIMPLEX, height)
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    return int(width)


def use_one_thread() -> None:
    """Keeps OpenCV from starting threads of its own in this process: the callers work in parallel."""
    cv2.setNumThreads(0)


def _as_image(array: Any) -> Image:
    image: Image = array
    return image
