"""Nets for the tests of `import caffe`, and how a script runs with our package under that name."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from caffeflow import pycaffe

SCRIPTS: Final = Path(__file__).parent / "pycaffe_scripts"

CONV: Final = "num_output: 3 kernel_h: 2 kernel_w: 3"

TRAIN_NET: Final = f"""name: "session"
layer {{ name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {{
  shape {{ dim: 4 dim: 2 dim: 5 dim: 7 }} shape {{ dim: 4 }}
  data_filler {{ type: "constant" value: 0.5 }} data_filler {{ type: "constant" }} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "a"
  convolution_param {{ {CONV} weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu" type: "TanH" bottom: "a" top: "relu" }}
layer {{ name: "b" type: "InnerProduct" bottom: "relu" top: "b"
  inner_product_param {{ num_output: 7 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "b" bottom: "label" top: "loss" loss_weight: 0.7 }}
layer {{ name: "size" type: "Reduction" bottom: "b" top: "size" loss_weight: 0.01
  reduction_param {{ operation: SUMSQ }} }}
layer {{ name: "staged" type: "Power" bottom: "relu" top: "staged" include {{ stage: "more" min_level: 2 }} }}
"""
"""A net with two losses, and a layer for one stage only."""

DEPLOY_NET: Final = f"""name: "session"
force_backward: true
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 4 dim: 2 dim: 5 dim: 7 }} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "a" convolution_param {{ {CONV} }} }}
layer {{ name: "relu" type: "TanH" bottom: "a" top: "a" }}
layer {{ name: "b" type: "InnerProduct" bottom: "a" top: "b" inner_product_param {{ num_output: 7 }} }}
layer {{ name: "prob" type: "Softmax" bottom: "b" top: "prob" }}
"""
"""The same layers without losses; its TanH works in place."""


SOLVED_NET: Final = """name: "solved"
layer { name: "data" type: "DummyData" top: "data" top: "target" dummy_data_param {
  shape { dim: 5 dim: 3 } shape { dim: 5 dim: 2 } data_filler { type: "constant" } } }
layer { name: "hidden" type: "InnerProduct" bottom: "data" top: "hidden" param { lr_mult: 1 } param { lr_mult: 2 }
  inner_product_param { num_output: 7 weight_filler { type: "xavier" } } }
layer { name: "tanh" type: "TanH" bottom: "hidden" top: "hidden" }
layer { name: "out" type: "InnerProduct" bottom: "hidden" top: "out"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "out" bottom: "target" top: "loss" }
"""
"""A smooth net whose data a script writes."""

SOLVER: Final = """net: "solved.prototxt" base_lr: 0.1 lr_policy: "inv" gamma: 0.01 power: 0.75 weight_decay: 0.01
max_iter: 9 test_iter: 2 test_interval: 4 display: 2 snapshot_prefix: "made" snapshot_after_train: false
iter_size: 2 solver_mode: CPU
"""


PYTHON_NET: Final = """name: "python"
layer { name: "waves" type: "Python" top: "waves" top: "phase"
  python_param { module: "layers_of_users" layer: "Waves" } }
layer { name: "hidden" type: "InnerProduct" bottom: "waves" top: "hidden"
  inner_product_param { num_output: 7 weight_filler { type: "xavier" } } }
layer { name: "offset" type: "Python" bottom: "hidden" top: "offset" param { lr_mult: 3 }
  python_param { module: "layers_of_users" layer: "Offset" } }
layer { name: "tanh" type: "TanH" bottom: "offset" top: "tanh" }
layer { name: "twice" type: "Python" bottom: "tanh" top: "twice"
  python_param { module: "layers_of_users" layer: "Multiply" param_str: "2.5" } }
layer { name: "out" type: "InnerProduct" bottom: "twice" top: "out"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "Python" bottom: "out" bottom: "waves" top: "loss" loss_weight: 0.7
  python_param { module: "layers_of_users" layer: "HalfSquares" } }
layer { name: "silence" type: "Silence" bottom: "phase" }
"""
"""A net whose data, loss and two more layers are the user's own."""

PYTHON_SOLVER: Final = """net: "python.prototxt" base_lr: 0.1 momentum: 0.9 lr_policy: "fixed" max_iter: 9
snapshot_prefix: "python" solver_mode: CPU
"""


def write_python_net(folder: Path) -> tuple[Path, Path]:
    """Writes a net of Python layers and its solver, and returns their paths."""
    paths = folder / "python.prototxt", folder / "python_solver.prototxt"
    for path, text in zip(paths, (PYTHON_NET, PYTHON_SOLVER), strict=True):
        path.write_text(text)
    return paths


def write_solver(folder: Path, more: str = "momentum: 0.9") -> Path:
    """Writes a solver and its net, and returns the solver's path."""
    (folder / "solved.prototxt").write_text(SOLVED_NET)
    path = folder / "solver.prototxt"
    path.write_text(SOLVER + more)
    return path


def write_nets(folder: Path) -> tuple[Path, Path]:
    """Writes both nets and returns their paths."""
    paths = folder / "train.prototxt", folder / "deploy.prototxt"
    for path, text in zip(paths, (TRAIN_NET, DEPLOY_NET), strict=True):
        path.write_text(text)
    return paths


def run_script(script: str, arguments: Sequence[str | Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs a script of `pycaffe_scripts` with our package as its `caffe`."""
    monkeypatch.setitem(sys.modules, "caffe", pycaffe)
    monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
    runpy.run_path(str(SCRIPTS / script), run_name="__main__")
