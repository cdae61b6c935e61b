"""Drawn layers that bring data, without what they draw themselves: random crops, mirroring, shuffling, skipping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from caffeflow.data.build import BuildSettings, build
from caffeflow.data.sources.image_list import ListSettings, list_jobs
from caffeflow.proto.binary import write_mean
from caffeflow.proto.caffe_pb2 import LayerParameter, TransformationParameter
from caffeflow.proto.text import format_message
from tests.support.drawn_layers.configuration import Phase
from tests.support.drawn_layers.draw import Draw
from tests.support.hdf5_rows import write_rows
from tests.support.native_pictures import write_list, write_textures
from tests.support.window_files import write_windows

RECORDS: Final = 11
SIDES: Final = (23, 25)
_CROP: Final = 17


@dataclass(frozen=True, kw_only=True)
class DrawnFeed:
    """One drawn data layer.

    Attributes:
        layer: Its message, with name and tops.
        phase: The net's phase.
        batches: How many it is asked for; so many that its data come round.
    """

    layer: LayerParameter
    phase: Phase
    batches: int = 5

    def text(self) -> str:
        """Returns the net."""
        indented = "\n".join(f"  {line}" for line in format_message(self.layer).splitlines())
        return f"layer {{\n{indented}\n}}\n"


Feeds = Callable[[Draw, Path], DrawnFeed]
"""Draws a layer that reads the files of a folder."""


def write_sources(root: Path) -> None:
    """Writes pictures, LMDBs of every form, means, HDF5 files and windows for the layers to read."""
    write_textures(root / "pictures", classes=RECORDS, per_class=1, sizes=[SIDES], suffix=".png")
    write_textures(root / "photos", classes=RECORDS, per_class=1, sizes=[SIDES], suffix=".jpg")
    for pictures in ("pictures", "photos"):
        write_list(root / pictures, root / f"{pictures}.txt")
    forms = {
        "raw": ("pictures", BuildSettings(encode="raw", shuffle=False)),
        "png": ("pictures", BuildSettings(encode="png", shuffle=False)),
        "jpg": ("photos", BuildSettings(encode="jpg", shuffle=False)),
        "gray": ("photos", BuildSettings(encode="jpg", gray=True, shuffle=False)),
    }
    for name, (pictures, settings) in forms.items():
        jobs = list_jobs(ListSettings(train=root / f"{pictures}.txt", root=root / pictures))
        build(jobs, settings, root / name, source="list")
    means = np.random.default_rng(3).uniform(90, 130, (3, *SIDES)).astype(np.float32)
    write_mean(root / "mean.binaryproto", means)
    (root / "windows").mkdir()
    write_windows(root / "windows", [[(5, 0.75, 7, 11, 29, 23), (3, 0.25, 35, 3, 52, 40)]])


def _layer(layer_type: str, *tops: str) -> LayerParameter:
    return LayerParameter(name="data", type=layer_type, top=tops)


def _transform(
    draw: Draw, param: TransformationParameter, root: Path, *, channels: int, full_size: bool
) -> None:
    """Draws mean and scale; a mean file is for pictures of its own size."""
    how = draw.one_of("none", "one", "each", "file" if full_size and channels == 3 else "each")
    if how == "file":
        param.mean_file = str(root / "mean.binaryproto")
    elif how != "none":
        count = 1 if how == "one" else channels
        param.mean_value[:] = [draw.integer(80, 140) + 0.25 for _ in range(count)]
    if draw.chance():
        param.scale = draw.one_of(0.00390625, 0.017, 2.5)


def data(draw: Draw, root: Path) -> DrawnFeed:
    """Draws a Data layer over an LMDB."""
    layer = _layer("Data", *draw.one_of(("data",), ("data", "label"), ("data", "label")))
    form = draw.one_of("raw", "png", "jpg", "gray")
    param = layer.data_param
    param.source, param.backend = str(root / form / "train_lmdb"), 1  # LMDB
    param.batch_size = draw.integer(1, 5)
    if draw.chance(0.3):
        param.prefetch = draw.integer(1, 6)
    channels = 1 if form == "gray" else 3
    if form != "raw" and draw.chance(0.4):
        if draw.chance():
            layer.transform_param.force_color, channels = True, 3
        else:
            layer.transform_param.force_gray, channels = True, 1
    phase: Phase = draw.one_of("TRAIN", "TEST")
    if phase == "TEST" and draw.chance(0.6):  # the middle; in TRAIN the place is drawn
        layer.transform_param.crop_size = draw.integer(1, min(SIDES))
    _transform(draw, layer.transform_param, root, channels=channels, full_size=True)
    return DrawnFeed(layer=layer, phase=phase)


def image_data(draw: Draw, root: Path) -> DrawnFeed:
    """Draws an ImageData layer over a list of files."""
    layer = _layer("ImageData", "data", "label")
    pictures = draw.one_of("pictures", "photos")
    param = layer.image_data_param
    param.source, param.root_folder = str(root / f"{pictures}.txt"), str(root / pictures) + "/"
    param.batch_size = draw.integer(1, 5)
    channels, least = 3, min(SIDES)
    if draw.chance(0.4):
        param.is_color = draw.chance(0.3)
        channels = 3 if param.is_color else 1
    resized = draw.chance()
    if resized:
        param.new_height, param.new_width = draw.integer(9, 31), draw.integer(9, 31)
        least = min(param.new_height, param.new_width)
    phase: Phase = draw.one_of("TRAIN", "TEST")
    if phase == "TEST" and draw.chance(0.6):
        layer.transform_param.crop_size = draw.integer(1, least)
    _transform(draw, layer.transform_param, root, channels=channels, full_size=not resized)
    return DrawnFeed(layer=layer, phase=phase)


def window_data(draw: Draw, root: Path) -> DrawnFeed:
    """Draws a WindowData layer over one window of an object and one of the background."""
    layer = _layer("WindowData", "data", "label")
    param = layer.window_data_param
    param.source, param.root_folder = str(root / "windows" / "windows.txt"), str(root / "windows") + "/"
    param.batch_size = draw.integer(2, 6)
    param.fg_fraction = draw.one_of(0.25, 0.5)
    if draw.chance():
        param.context_pad = draw.integer(1, 4)
    if draw.chance():
        param.crop_mode = draw.one_of("warp", "square")
    if draw.chance(0.3):
        param.cache_images = draw.chance()
    if draw.chance():
        param.scale = draw.one_of(0.00390625, 0.017)
    if draw.chance(0.3):
        param.fg_threshold, param.bg_threshold = draw.number(0.3, 0.7), draw.number(0.3, 0.7)
    layer.transform_param.crop_size = _CROP
    how = draw.one_of("none", "each", "file")
    if how == "file":
        layer.transform_param.mean_file = str(root / "mean.binaryproto")
    elif how == "each":
        layer.transform_param.mean_value[:] = [draw.integer(80, 140) + 0.25 for _ in range(3)]
    return DrawnFeed(layer=layer, phase="TRAIN", batches=2)


def hdf5_data(draw: Draw, root: Path) -> DrawnFeed:
    """Draws an HDF5Data layer over files of other lengths each."""
    layer = _layer("HDF5Data", *draw.one_of(("data",), ("label",), ("data", "label"), ("label", "data")))
    folder = root / f"rows_{draw.integer(0, 10**9)}"
    folder.mkdir()
    counts = [draw.integer(1, 7) for _ in range(draw.integer(1, 4))]
    layer.hdf5_data_param.source = str(write_rows(folder, counts))
    layer.hdf5_data_param.batch_size = draw.integer(1, 5)
    if draw.chance(0.2):
        layer.hdf5_data_param.shuffle = False
    return DrawnFeed(layer=layer, phase=draw.one_of("TRAIN", "TEST"), batches=9)


def dummy_data(draw: Draw, _root: Path) -> DrawnFeed:
    """Draws a DummyData layer of constants, in the newer and the older way to give shapes."""
    tops = draw.integer(1, 3)
    layer = _layer("DummyData", *(f"top_{place}" for place in range(tops)))
    param = layer.dummy_data_param
    for _ in range(draw.one_of(0, 1, tops)):
        param.data_filler.add(type="constant", value=draw.number(-3, 3))
    count = draw.one_of(1, tops)
    if draw.chance(0.7):
        for _ in range(count):
            param.shape.add(dim=draw.shape(1, 5))
    else:
        for _ in range(count):
            for name in ("num", "channels", "height", "width"):
                getattr(param, name).append(draw.integer(1, 5))
    return DrawnFeed(layer=layer, phase=draw.one_of("TRAIN", "TEST"), batches=2)


FEEDS: Final[dict[str, Feeds]] = {
    "Data": data,
    "DummyData": dummy_data,
    "HDF5Data": hdf5_data,
    "ImageData": image_data,
    "WindowData": window_data,
}
