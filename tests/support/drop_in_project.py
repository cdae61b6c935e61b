"""A working folder as Caffe's examples have one: LMDBs, a net, a solver, weights to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from caffeflow.proto.binary import LayerArrays, write_caffemodel
from tests.support.records import random_planes, write_raw_lmdb

LAYERS: Final = ["mnist", "conv1", "tanh1", "pool1", "ip1", "tanh2", "ip2", "loss"]

NET: Final = """name: "LeNet"
layer { name: "mnist" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  transform_param { scale: 0.00390625 } data_param { source: "train_lmdb" batch_size: 7 backend: LMDB } }
layer { name: "mnist" type: "Data" top: "data" top: "label" include { phase: TEST }
  transform_param { scale: 0.00390625 } data_param { source: "val_lmdb" batch_size: 5 backend: LMDB } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1" param { lr_mult: 1 } param { lr_mult: 2 }
  convolution_param { num_output: 3 kernel_size: 5 weight_filler { type: "xavier" } } }
layer { name: "tanh1" type: "TanH" bottom: "conv1" top: "conv1" }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1"
  pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "ip1" type: "InnerProduct" bottom: "pool1" top: "ip1" param { lr_mult: 1 } param { lr_mult: 2 }
  inner_product_param { num_output: 11 weight_filler { type: "xavier" } } }
layer { name: "tanh2" type: "TanH" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" param { lr_mult: 1 } param { lr_mult: 2 }
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
"""
SOLVER: Final = """net: "net.prototxt"
test_iter: 4 test_interval: 5 base_lr: 0.01 momentum: 0.9 weight_decay: 0.0005
lr_policy: "inv" gamma: 0.0001 power: 0.75
display: 2 max_iter: 10 snapshot: 5 snapshot_prefix: "lenet" solver_mode: CPU random_seed: 1
"""
SIDE: Final = 17
_SHAPES: Final = {"conv1": (3, 1, 5, 5), "ip1": (11, 3 * 7 * 7), "ip2": (10, 11)}


def write_project(folder: Path, *, solver: str = SOLVER) -> Path:
    """Writes everything into a folder, which is returned; programs must run there."""
    folder.mkdir(parents=True, exist_ok=True)
    planes = random_planes(37, (1, SIDE, SIDE))
    write_raw_lmdb(folder / "train_lmdb", planes, [number % 10 for number in range(37)])
    write_raw_lmdb(folder / "val_lmdb", planes[:19], [number % 10 for number in range(19)])
    (folder / "net.prototxt").write_text(NET)
    (folder / "solver.prototxt").write_text(solver)
    write_initial_weights(folder / "initial.caffemodel")
    return folder


def write_initial_weights(path: Path) -> Path:
    """Writes small random weights for every layer that learns."""
    rng = np.random.default_rng(11)
    layers = [
        LayerArrays(
            name=name,
            type="Convolution" if name == "conv1" else "InnerProduct",
            bottoms=(),
            tops=(),
            arrays=(
                rng.normal(0, 0.1, shape).astype(np.float32),
                rng.normal(0, 0.1, shape[0]).astype(np.float32),
            ),
        )
        for name, shape in _SHAPES.items()
    ]
    write_caffemodel(path, name="LeNet", layers=layers)
    return path


def listed(folder: Path) -> set[str]:
    """Returns the names of the files in a folder."""
    return {path.name for path in folder.iterdir()}
