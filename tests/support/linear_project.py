"""A classifier that is one product, with its dataset, so that numpy alone says what it must answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from caffeflow.data.manifest import Manifest, Split, write_manifest
from caffeflow.proto.binary import LayerArrays, write_caffemodel, write_mean
from tests.support.records import Planes, random_planes, write_image_list, write_raw_lmdb

CLASSES = 7
RECORD = (3, 11, 13)
CROP = 5
COUNT = 23
SCALE = 0.25
NAMES = tuple(f"kind {label}" for label in range(CLASSES))
PLANES = random_planes(COUNT, RECORD)
LABELS = [int(label) for label in np.random.default_rng(2).integers(0, CLASSES, COUNT)]
WEIGHT = np.random.default_rng(3).normal(0, 0.02, (CLASSES, 3 * CROP * CROP)).astype(np.float32)
BIAS = np.arange(CLASSES, dtype=np.float32) / 10
MEAN = np.random.default_rng(4).uniform(100, 140, RECORD).astype(np.float32)

TRAIN_VAL = """
name: "linear"
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }}
  data_param {{ source: "never/read" batch_size: 4 backend: LMDB }} }}
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  transform_param {{ mean_file: "{mean}" scale: 0.25 crop_size: 5 }}
  data_param {{ source: "{source}" batch_size: 4 backend: LMDB }} }}
layer {{ name: "drop" type: "Dropout" bottom: "data" top: "dropped" }}
layer {{ name: "score" type: "InnerProduct" bottom: "dropped" top: "answer"
  param {{ lr_mult: 1 }} param {{ lr_mult: 2 }}
  inner_product_param {{ num_output: 7 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "accuracy" type: "Accuracy" bottom: "answer" bottom: "label" top: "accuracy"
  include {{ phase: TEST }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "answer" bottom: "label" top: "loss" }}
"""


def probabilities(planes: NDArray[np.generic]) -> NDArray[np.float64]:
    """Returns what the net must say of a record (3, 11, 13): cropped in the centre with its mean."""
    top, left = (RECORD[1] - CROP) // 2, (RECORD[2] - CROP) // 2
    values = []
    for channel in range(3):
        for row in range(top, top + CROP):
            for column in range(left, left + CROP):
                pixel = float(planes[channel, row, column])
                values.append((pixel - float(MEAN[channel, row, column])) * SCALE)
    scores = WEIGHT.astype(np.float64) @ np.array(values) + BIAS
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def write_linear_dataset(
    folder: Path, *, backend: str = "lmdb", planes: Sequence[Planes] = PLANES, names: Sequence[str] = NAMES
) -> Path:
    """Writes a finished dataset, of a val split only."""
    labels = LABELS[: len(planes)]
    if backend == "lmdb":
        write_raw_lmdb(folder / "val_lmdb", planes, labels)
    else:
        write_image_list(folder / "val", planes, labels).rename(folder / "val.txt")
    split = Split(
        path="val_lmdb" if backend == "lmdb" else "val.txt", root=None if backend == "lmdb" else "val",
        count=len(planes), rejected={}, unusual={}, labels={}, digest="",
    )  # fmt: skip
    manifest = Manifest(
        name="linear", source="folder", backend=backend, encode="raw", channels=3, height=RECORD[1],
        width=RECORD[2], classes=len(names), class_names=tuple(names), splits={"val": split}, mean=None,
        settings={"resize": list(RECORD[1:])},
    )  # fmt: skip
    write_manifest(folder, manifest)
    return folder


def write_linear_weights(path: Path, *, name: str = "score", weight: NDArray[np.float32] = WEIGHT) -> Path:
    """Writes the caffemodel."""
    layer = LayerArrays(
        name=name, type="InnerProduct", bottoms=("dropped",), tops=("answer",), arrays=(weight, BIAS)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_caffemodel(path, name="linear", layers=[layer])
    return path


def write_linear_model(root: Path) -> Path:
    """Writes models/linear with net, solver, mean and weights below a folder, and data/own; returns the first."""
    folder = root / "models" / "linear"
    folder.mkdir(parents=True)
    data = write_linear_dataset(root / "data" / "own")
    write_mean(folder / "mean.binaryproto", MEAN)
    net = TRAIN_VAL.format(mean=folder / "mean.binaryproto", source=data / "val_lmdb")
    (folder / "train_val.prototxt").write_text(net)
    (folder / "solver.prototxt").write_text(
        f'net: "{folder}/train_val.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 10 test_iter: 1'
        " test_interval: 5"
    )
    write_linear_weights(folder / "snapshots" / "linear_iter_9.caffemodel")
    return folder
