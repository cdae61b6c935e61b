"""`preprocess.json`: how a picture becomes the input of a deployed net, exactly as in its training's tests.

Two stages, as in training: the first makes the record that `prepare` would have stored (colour, size),
the second is the data layer's `transform_param` in its TEST phase (crop in the centre, mean, scale).
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from google.protobuf import json_format
from numpy.typing import NDArray

from caffeflow.data.settings import BuildSettings
from caffeflow.data.transforms import as_planes, transform
from caffeflow.engine.feed.draws import Draws
from caffeflow.engine.feed.pictures import PictureTransformer
from caffeflow.engine.feed.settings import TransformSettings
from caffeflow.engine.feed.transformer import Transformer
from caffeflow.errors import DataError
from caffeflow.files import write_atomically, write_text
from caffeflow.images import Image
from caffeflow.layers.spec import Shape
from caffeflow.proto.caffe_pb2 import LayerParameter

PREPROCESS_NAME: Final = "preprocess.json"
MEAN_NAME: Final = "mean.npy"
FORMAT: Final = 1

Floats = NDArray[np.float32]
ResizeMode = Literal["none", "squash", "short_side", "min_max"]

_MEANING: Final = {
    "order": "decode, turn upright (EXIF), resize, crop, subtract the mean, multiply by scale; as float32",
    "input": "the blob that takes it: height and width as in `size`, planes in `colour_order`, values from 0",
    "resize": (
        "none; squash: to height x width, aspect ignored; short_side: until the shorter side is so long,"
        " aspect kept; min_max: enlarged to min_dim, then shrunk to max_dim, aspect kept; always bilinear"
    ),
    "resize_param": "what SSD's transformer does then, by the names of Caffe's ResizeParameter; or null",
    "crop": "height and width of the window in the centre; null: the whole picture",
    "mean": (
        "values: one, or one for each plane in `colour_order`, of pixels from 0 to 255; file: an array"
        " (planes, height, width) of the size before cropping, cropped along with the picture"
    ),
    "scale": "what values are multiplied by after the mean is subtracted",
}


@dataclass(frozen=True, kw_only=True)
class Preprocess:
    """What is done to pictures.

    Attributes:
        input: The net's input blob.
        size: (height, width) there.
        channels: 3 for B, G, R; 1 for gray.
        resize: The first stage.
        resize_values: Its numbers by name: height and width, size, or min_dim and max_dim.
        param: The second stage, as a data layer has it; without a mean file.
        mean_image: (C, H, W), in place of values in `param`.
    """

    input: str
    size: tuple[int, int]
    channels: int
    resize: ResizeMode
    resize_values: Mapping[str, int]
    param: LayerParameter
    mean_image: Floats | None = None

    @property
    def settings(self) -> TransformSettings:
        """The second stage."""
        settings = TransformSettings.read(self.param)
        return settings if self.mean_image is None else replace(settings, mean=self.mean_image)

    @property
    def shape(self) -> Shape:
        """(C, H, W) of the input."""
        return (self.channels, *self.size)

    def record_settings(self) -> BuildSettings:
        """Returns the first stage, as `prepare` takes it."""
        values, is_gray = self.resize_values, self.channels == 1
        match self.resize:
            case "squash":
                return BuildSettings(resize=(values["height"], values["width"]), gray=is_gray)
            case "short_side":
                return BuildSettings(short_side=values["size"], gray=is_gray)
            case "min_max":
                return BuildSettings(
                    min_dim=values.get("min_dim"), max_dim=values.get("max_dim"), gray=is_gray
                )
            case _:
                return BuildSettings(gray=is_gray)

    def as_json(self) -> dict[str, Any]:
        """Returns the file's contents."""
        settings, param = self.settings, self.param.transform_param
        mean: dict[str, Any] | None = None
        if self.mean_image is not None:
            values = self.mean_image.mean(axis=(1, 2), dtype=np.float64)
            mean = {"file": MEAN_NAME, "means_of_planes": [round(float(one), 4) for one in values]}
        elif settings.mean is not None:
            mean = {"values": [_plain(value) for value in param.mean_value]}
        return {
            "format": FORMAT,
            "input": self.input,
            "size": {"height": self.size[0], "width": self.size[1]},
            "colour_order": "gray" if self.channels == 1 else "BGR",
            "resize": {"mode": self.resize, **self.resize_values},
            "resize_param": (
                json_format.MessageToDict(param.resize_param, preserving_proto_field_name=True)
                if param.HasField("resize_param")
                else None
            ),
            "crop": settings.crop and {"height": settings.crop[0], "width": settings.crop[1]},
            "mean": mean,
            "scale": _plain(param.scale),
            "meaning": _MEANING,
        }

    def write(self, folder: Path) -> None:
        """Writes preprocess.json, and the mean image if there is one."""
        write_text(folder / PREPROCESS_NAME, json.dumps(self.as_json(), indent=2) + "\n")
        if self.mean_image is not None:
            write_atomically(folder / MEAN_NAME, _npy(self.mean_image))


class Preprocessor:
    """Brings pictures to a net.

    Args:
        preprocess: How.
    """

    def __init__(self, preprocess: Preprocess) -> None:
        self.preprocess: Final = preprocess
        self._record: Final = preprocess.record_settings()
        settings, draws = preprocess.settings, Draws(0, PREPROCESS_NAME)
        kind = PictureTransformer if settings.is_forks else Transformer
        self._transformer: Final = kind(settings, phase="TEST", draws=draws, layer=PREPROCESS_NAME)

    def fill(self, pictures: Sequence[Image], out: Floats, *, name: Callable[[int], str]) -> None:
        """Writes pictures, (H, W, 3) or gray (H, W), into their part of a batch.

        Args:
            pictures: Of any sizes.
            out: (N, C, h, w)
            name: Returns what messages call a picture.

        Raises:
            DataError: What becomes of one is not what the net takes.
        """
        planes = [as_planes(self._record_of(picture)) for picture in pictures]
        for place, one in enumerate(planes):
            made = self._transformer.output_shape(one.shape, name(place))
            if made != out.shape[1:]:
                raise DataError(
                    f"{name(place)}: comes to the net as {_size(made)}, which takes {_size(out.shape[1:])};"
                    f" {PREPROCESS_NAME} does not bring pictures of this kind to its size"
                )
        self._transformer.fill(planes, np.zeros(len(planes), np.int64), out, name=name)

    def _record_of(self, picture: Image) -> Image:
        record = transform(picture, self._record)
        if record.ndim == 2 and self.preprocess.channels > 1:
            return np.repeat(record[..., None], self.preprocess.channels, axis=2)
        return record


def read_preprocess(folder: Path) -> Preprocess:
    """Reads `preprocess.json` of a bundle.

    Raises:
        DataError: It is missing, or is something else.
    """
    path = folder / PREPROCESS_NAME
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields["format"] != FORMAT:
            raise DataError(f"{path}: format is {fields['format']}; this caffeflow reads {FORMAT}")
        return _from_json(fields, folder)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}; expected a folder of deploy") from error
    except (ValueError, KeyError, TypeError, json_format.ParseError) as error:
        raise DataError(f"{path}: does not read as written by deploy ({error}); deploy again") from error


def _from_json(fields: Mapping[str, Any], folder: Path) -> Preprocess:
    layer = LayerParameter(name=fields["input"], type="Data", top=[fields["input"]])
    param, mean, crop = layer.transform_param, fields["mean"] or {}, fields["crop"]
    param.mean_value.extend(mean.get("values", ()))
    param.scale = fields["scale"]
    if crop and crop["height"] == crop["width"]:
        param.crop_size = crop["height"]
    elif crop:
        param.crop_h, param.crop_w = crop["height"], crop["width"]
    if fields["resize_param"] is not None:
        json_format.ParseDict(fields["resize_param"], param.resize_param)
    resize = dict(fields["resize"])
    return Preprocess(
        input=fields["input"],
        size=(fields["size"]["height"], fields["size"]["width"]),
        channels=1 if fields["colour_order"] == "gray" else 3,
        resize=resize.pop("mode"),
        resize_values=resize,
        param=layer,
        mean_image=np.load(folder / mean["file"], allow_pickle=False) if "file" in mean else None,
    )


def _plain(value: float) -> float:
    """Returns a number of single precision with the fewest digits that tell it: 0.017, not 0.01700000092."""
    return float(str(np.float32(value)))


def _npy(array: Floats) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _size(shape: Shape) -> str:
    return " x ".join(str(side) for side in shape)
