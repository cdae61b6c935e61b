"""Small LMDBs of AnnotatedDatums, written without caffeflow's own sinks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from google.protobuf import text_format

from caffeflow.proto import caffe_pb2
from tests.support.records import picture_bytes, write_lmdb

Row = tuple[int, int, float, float, float, float, bool]  # label, instance, xmin, ymin, xmax, ymax, difficult


def annotated(
    planes: np.ndarray, rows: Sequence[Row] = (), *, label: int = -1, kind: str = "png", typed: bool = True
) -> bytes:
    """Returns an AnnotatedDatum; rows of one label that follow each other are a group.

    Args:
        planes: (C, H, W)
        rows: Its boxes.
        label: The Datum's.
        kind: "png", "jpg", or "raw" for bare pixels.
        typed: Whether the record says that it has boxes.
    """
    message = caffe_pb2.AnnotatedDatum()
    if typed:
        message.type = caffe_pb2.AnnotatedDatum.BBOX
    datum = message.datum
    datum.channels, datum.height, datum.width = planes.shape
    datum.data = planes.tobytes() if kind == "raw" else picture_bytes(planes, kind)
    datum.label, datum.encoded = label, kind != "raw"
    for group_label, instance, *corners, difficult in rows:
        groups = message.annotation_group
        if not groups or groups[-1].group_label != group_label:
            groups.add(group_label=group_label)
        box = groups[-1].annotation.add(instance_id=instance).bbox
        box.xmin, box.ymin, box.xmax, box.ymax = corners
        box.difficult = difficult
    return message.SerializeToString()


def some_rows(rng: np.random.Generator, count: int) -> list[Row]:
    """Returns boxes of all sizes, some of which reach out of the picture."""
    rows: list[Row] = []
    for index in range(count):
        x0, x1 = np.sort(rng.uniform(-0.1, 1.1, 2)).astype(np.float32).tolist()
        y0, y1 = np.sort(rng.uniform(-0.1, 1.1, 2)).astype(np.float32).tolist()
        rows.append((1 + index // 2, index % 2, x0, y0, x1, y1, bool(rng.integers(2))))
    return rows


def write_annotated(path: Path, values: Sequence[bytes]) -> Path:
    """Writes records under keys that count up."""
    return write_lmdb(path, values)


def annotated_layer(
    source: Path, *, batch_size: int = 3, transform: str = "", annotation: str = "", tops: int = 2
) -> caffe_pb2.LayerParameter:
    """Returns an AnnotatedData layer."""
    names = " ".join(f'top: "{name}"' for name in ("data", "label")[:tops])
    text = f"""name: "data" type: "AnnotatedData" {names} transform_param {{ {transform} }}
        data_param {{ source: "{source}" batch_size: {batch_size} backend: LMDB }}
        annotated_data_param {{ {annotation} }}"""
    return text_format.Parse(text, caffe_pb2.LayerParameter())


def layer_with(fields: str, layer_type: str = "AnnotatedData") -> caffe_pb2.LayerParameter:
    """Returns a layer called `data` with these fields, for what reads settings alone."""
    return text_format.Parse(f'name: "data" type: "{layer_type}" {fields}', caffe_pb2.LayerParameter())
