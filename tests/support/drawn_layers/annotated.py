"""Drawn AnnotatedData layers, without samplers and without what they draw themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from caffeflow.proto.caffe_pb2 import LayerParameter, ResizeParameter
from tests.support.annotated_records import annotated, some_rows, write_annotated
from tests.support.drawn_layers.configuration import Phase
from tests.support.drawn_layers.draw import Draw
from tests.support.drawn_layers.feeds import DrawnFeed

RECORDS: Final = 7
SIDES: Final = (23, 31)


def write_annotated_sources(root: Path) -> None:
    """Writes LMDBs of pictures of one size, as PNG, JPEG and bare pixels, and of pictures of several sizes."""
    random = np.random.default_rng(5)
    sizes = {"png": [SIDES], "jpg": [SIDES], "raw": [SIDES], "sizes": [(19, 37), (41, 23), (29, 29)]}
    for name, sides in sizes.items():
        records = []
        for number in range(RECORDS):
            planes = random.integers(0, 256, (3, *sides[number % len(sides)]), np.uint8)
            kind = "png" if name == "sizes" else name
            rows = some_rows(random, int(random.integers(0, 5)))
            records.append(annotated(planes, rows, label=number, kind=kind))
        write_annotated(root / f"annotated_{name}", records)


def annotated_data(draw: Draw, root: Path) -> DrawnFeed:
    """Draws an AnnotatedData layer that resizes, crops the middle, subtracts and scales."""
    layer = LayerParameter(name="data", type="AnnotatedData")
    layer.top.extend(("data", "label")[: draw.one_of(1, 2, 2, 2)])
    kind = draw.one_of("png", "jpg", "raw", "sizes")
    param = layer.data_param
    param.source, param.backend, param.batch_size = str(root / f"annotated_{kind}"), 1, draw.integer(1, 4)
    if draw.chance(0.3):
        layer.annotated_data_param.anno_type = 0  # BBOX
    transform, least = layer.transform_param, min(SIDES)
    if kind == "sizes" or (kind != "raw" and draw.chance()):
        least = _resize(draw, transform.resize_param, layer)
    phase: Phase = draw.one_of("TRAIN", "TEST")
    if phase == "TEST" and least and draw.chance(0.4):
        transform.crop_size = draw.integer(5, least)
    how = draw.one_of("none", "one", "each")
    if how != "none":
        transform.mean_value[:] = [draw.integer(80, 140) + 0.25 for _ in range(1 if how == "one" else 3)]
    if draw.chance():
        transform.scale = draw.one_of(0.00390625, 0.017, 2.5)
    if draw.chance(0.3):
        transform.emit_constraint.emit_type = draw.integer(0, 1)
    return DrawnFeed(layer=layer, phase=phase, batches=6)


def _resize(draw: Draw, param: ResizeParameter, layer: LayerParameter) -> int:
    """Draws a resizing; returns the shorter side of what it makes, 0 where that differs."""
    param.resize_mode = draw.integer(1, 3)
    param.height, param.width = draw.integer(11, 33), draw.integer(11, 33)
    if draw.chance(0.6):
        param.interp_mode.append(draw.one_of(1, 2, 3))
    if param.resize_mode == 2:  # FIT_SMALL_SIZE: each picture has a size of its own
        layer.data_param.batch_size = 1
        return 0
    if param.resize_mode == 3:  # FIT_LARGE_SIZE_AND_PAD
        param.pad_mode = draw.integer(1, 3)
        if param.pad_mode == 1 and draw.chance():
            param.pad_value[:] = [draw.integer(0, 255) for _ in range(draw.one_of(1, 3))]
    return min(param.height, param.width)
