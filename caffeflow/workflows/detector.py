"""A deploy net that finds boxes in pictures of any size: transformed as in its tests, and found in pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from caffeflow.engine.device import choose_device
from caffeflow.engine.feed.batches import Buffers
from caffeflow.engine.feed.draws import Draws
from caffeflow.engine.feed.pictures import PictureTransformer
from caffeflow.engine.feed.settings import TransformSettings
from caffeflow.engine.net import Net
from caffeflow.engine.training import FusedExecutor
from caffeflow.errors import DataError, NetError
from caffeflow.evaluate.detection_boxes import Floats, pixels
from caffeflow.evaluate.detection_match import NOTHING
from caffeflow.images import Image
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.labelmap import read_label_map
from caffeflow.proto.net import NetRole, filter_net, net_state
from caffeflow.proto.text import located, read_net
from caffeflow.workflows.detection_names import class_names_in
from caffeflow.workflows.test import load_weights
from caffeflow.workflows.test_data import (
    DataSettings,
    find_image_input,
    find_sibling_layer,
    transform_by_options,
)
from caffeflow.workflows.test_detection_net import resize_of
from caffeflow.workflows.test_subject import find_net, find_weights

_NET_FILES: Final = ("deploy.prototxt",)
_LABEL_MAP: Final = "labelmap.prototxt"
_LABEL, _SCORE, _CORNERS = 1, 2, slice(3, 7)


@dataclass(frozen=True, kw_only=True)
class DetectorSettings:
    """Which net, and how it is used.

    Attributes:
        net: A deploy prototxt, a folder, or a name under models/; None: the only one there.
        weights: A caffemodel; None: the net's newest.
        label_map: Names of the labels; None: the file beside the net.
        threshold: Scores must exceed it; None: the net's own confidence_threshold.
        mean: `none`, values, or a binaryproto; None: as in the test net beside it.
        scale: What values are multiplied by after the mean; None: the same.
        device: `auto`, `cpu` or `cuda`.
    """

    net: str | None = None
    weights: Path | None = None
    label_map: Path | None = None
    threshold: float | None = None
    mean: str | None = None
    scale: float | None = None
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"


@dataclass(frozen=True, kw_only=True)
class Detection:
    """A box that was found: label, its name, score, and xmin, ymin, xmax, ymax in pixels."""

    label: int
    name: str
    score: float
    box: tuple[float, float, float, float]


class Detector:
    """A net with its weights, ready to look at pictures.

    Args:
        settings: What is asked for.
        note: Gets sentences on what was decided.

    Raises:
        UsageError: The net is not named.
        NetError: The net is no deploy net with boxes.
        WeightsError: Weights that do not fit the net, or none.
        DataError: The label map cannot be read.
    """

    def __init__(self, settings: DetectorSettings, note: Callable[[str], None]) -> None:
        self.path: Final = find_net(settings.net, files=_NET_FILES)
        self.weights: Final = settings.weights or find_weights(self.path)
        net_file = read_net(self.path)
        state = net_state("TEST")
        with located(net_file):
            net = filter_net(net_file.net, state)
            self._found: Final = _prepare_output(net, self.path, settings.threshold)
            self._input: Final = _image_input(net, self.path)
        data = _transformation(net, self.path, settings, note)
        self._draws: Final = Draws(0, data.name)
        self._transformer: Final = PictureTransformer(
            TransformSettings.read(data), phase="TEST", draws=self._draws, layer=data.name
        )
        self._buffers: Final = Buffers(pin=False)
        self._resize: Final = resize_of(net, data)
        self.names: Final = _names(net, self.path, settings.label_map, note)
        role = NetRole(net_file=net_file, net=net, state=state, label="deploy net")
        built = Net.of(role, record_shape=None, seed=None, device=choose_device(settings.device))
        load_weights(built, self.weights, self.path, note)
        self._shape: Final = built.shapes.tops[built.graph.last(self._input.top[0])][1:]
        self._executor: Final = FusedExecutor(built, precision=settings.precision, keep=[self._found])

    def detect(self, pictures: Sequence[Image], names: Sequence[str]) -> list[list[Detection]]:
        """Returns what is found in each picture (H, W, 3), best scores first; names are for messages.

        Raises:
            DataError: What becomes of a picture is not what the net takes.
        """
        batch = self._buffers.take((len(pictures), *self._shape))
        places = batch.numpy()
        for place, (picture, name) in enumerate(zip(pictures, names, strict=True)):
            record = (3, *picture.shape[:2])
            made = self._transformer.output_shape(record, name)
            if made != self._shape:
                raise DataError(
                    f"{name}: is {picture.shape[0]}x{picture.shape[1]} and comes to the net as"
                    f" {made[1]}x{made[2]}, but the Input of {self.path} takes"
                    f" {self._shape[1]}x{self._shape[2]}; its test net resizes otherwise"
                )
            self._transformer.write(picture, self._draws.of_record(place), places[place], name=name)
        result = self._executor.forward({self._input.name: (batch,)})
        rows = result.outputs[self._found].float().cpu().numpy().reshape(-1, 7)
        return [
            self._detections(rows[(rows[:, 0] == place) & (rows[:, _LABEL] != NOTHING)], picture)
            for place, picture in enumerate(pictures)
        ]

    def _detections(self, rows: Floats, picture: Image) -> list[Detection]:
        """Returns the rows of one picture, in its pixels."""
        sizes = np.tile(np.array(picture.shape[:2], np.float32), (len(rows), 1))
        corners = pixels(rows[:, _CORNERS], sizes, self._resize)
        order = np.argsort(-rows[:, _SCORE], kind="stable")
        return [
            Detection(
                label=int(rows[place, _LABEL]),
                name=self.names.get(int(rows[place, _LABEL]), str(int(rows[place, _LABEL]))),
                score=float(rows[place, _SCORE]),
                box=tuple(corners[place].tolist()),
            )
            for place in order
        ]


def _prepare_output(net: NetParameter, path: Path, threshold: float | None) -> str:
    """Returns the blob of the boxes; sets the threshold, and leaves files of the net's own out."""
    layers = [layer for layer in net.layer if layer.type == "DetectionOutput"]
    if len(layers) != 1:
        raise NetError(
            f"{path}: has {len(layers)} DetectionOutput layers, expected one; render a net that detects,"
            " such as caffeflow render ssdlite-voc"
        )
    param = layers[0].detection_output_param
    param.ClearField("save_output_param")
    if threshold is not None:
        param.confidence_threshold = threshold
    return str(layers[0].top[0])


def _image_input(net: NetParameter, path: Path) -> LayerParameter:
    entry = find_image_input(net)
    if entry is None:
        raise NetError(
            f"{path}: has not one Input of images; pictures go to a deploy net, such as deploy.prototxt"
        )
    return entry


def _transformation(
    net: NetParameter, path: Path, settings: DetectorSettings, note: Callable[[str], None]
) -> LayerParameter:
    """Returns a data layer that transforms pictures as the test net beside a deploy net does."""
    entry = _image_input(net, path)
    layer = LayerParameter(name=entry.name, type="AnnotatedData", top=[entry.top[0]])
    sibling, template = find_sibling_layer(path)
    if template is not None:
        layer.transform_param.CopyFrom(template.transform_param)
        note(f"pictures are transformed as layer '{template.name}' of {sibling} says")
    elif settings.mean is None and settings.scale is None:
        note(
            f"there is no test net beside {path}, so no mean and no scale are applied;"
            " give --mean and --scale"
        )
    options = DataSettings(mean=settings.mean, scale=settings.scale)
    transform_by_options(layer, options, entry.input_param.shape[0].dim)
    return layer


def _names(
    net: NetParameter, path: Path, label_map: Path | None, note: Callable[[str], None]
) -> Mapping[int, str]:
    """Returns what labels are called: by the map that is named, the one beside the net, or the net's own."""
    beside = path.parent / _LABEL_MAP
    if label_map is not None or beside.exists():
        return read_label_map(label_map or beside).display_names
    names = class_names_in(net)
    if not names:
        note(f"there is no {_LABEL_MAP} beside {path}: labels are shown as numbers; give --label-map")
    return names
