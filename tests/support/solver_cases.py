"""The solver matrix: each update rule with each learning rate policy and each option, on one smooth net.

Smooth, because nothing else can run free beside Caffe (see docs/parity.md): TanH and average pooling, a
loss without kinks, no weights at 0, where the sign of L1 jumps.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

import h5py
import numpy as np

from tests.support.native_training import write_solver

ITERATIONS: Final = 50
ROWS: Final = 23  # no multiple of the batch of 4, so that batches go round

RULES: Final = {
    "SGD": "base_lr: 0.0123457 momentum: 0.9",
    "Nesterov": "base_lr: 0.0123457 momentum: 0.9",
    "AdaGrad": "base_lr: 0.0123457",
    "RMSProp": "base_lr: 0.00234567 rms_decay: 0.95",
    "AdaDelta": "base_lr: 1.234567 momentum: 0.95",
    "Adam": "base_lr: 0.00234567 momentum: 0.9 momentum2: 0.999",
}
# With Caffe's own 1e-8 these rules turn rounding into steps, so that Caffe differs from itself.
DELTAS: Final = {"AdaGrad": "delta: 0.01", "RMSProp": "delta: 0.01", "AdaDelta": "delta: 1e-6"}
POLICIES: Final = {
    "fixed": "",
    "step": "gamma: 0.3 stepsize: 17",
    "exp": "gamma: 0.97",
    "inv": "gamma: 0.01 power: 0.75",
    "multistep": "gamma: 0.3 stepvalue: 7 stepvalue: 7 stepvalue: 19 stepvalue: 43",
    "poly": "power: 1.3",
    "sigmoid": "gamma: 0.3 stepsize: 23",
}
OPTIONS: Final = {
    "plain": "",
    "iter_size": "iter_size: 3",
    "clip_gradients": "clip_gradients: 0.2",
    "L2": "weight_decay: 0.01",
    "L1": 'weight_decay: 0.001 regularization_type: "L1"',
    "multipliers": "weight_decay: 0.01",
    "average_loss": "average_loss: 7",
    "together": "iter_size: 3 clip_gradients: 0.6 weight_decay: 0.01 average_loss: 7",
}
MULTIPLIED: Final = ("multipliers", "together")  # the options whose net has lr_mult and decay_mult

_DATA: Final = """name: "smooth"
layer {{ name: "rows" type: "HDF5Data" top: "data" top: "label" hdf5_data_param {{ source: "{rows}" batch_size: 4 }} }}
"""
_CONV: Final = """layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv" {params}
  convolution_param {{ num_output: 5 kernel_h: 3 kernel_w: 2 {fillers} }} }}
layer {{ name: "tanh1" type: "TanH" bottom: "conv" top: "conv" }}
layer {{ name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param {{ pool: AVE kernel_size: 3 stride: 2 }} }}
"""
_HIDDEN: Final = """layer {{ name: "hidden" type: "InnerProduct" bottom: "pool" top: "hidden" {params}
  inner_product_param {{ num_output: 7 {fillers} }} }}
layer {{ name: "tanh2" type: "TanH" bottom: "hidden" top: "hidden" }}
"""
_SCORES: Final = """layer {{ name: "scores" type: "InnerProduct" bottom: "hidden" top: "scores" {params}
  inner_product_param {{ num_output: 3 {fillers} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss" }}
"""
_FILLERS: Final = 'weight_filler { type: "xavier" } bias_filler { type: "uniform" min: 0.1 max: 0.3 }'
_MULTIPLIERS: Final = (
    "param { lr_mult: 0.5 decay_mult: 2 } param { lr_mult: 2 decay_mult: 0 }",
    "param { lr_mult: 0 } param { lr_mult: 3 decay_mult: 0.7 }",
    "param { decay_mult: 1.3 }",
)


@dataclass(frozen=True)
class SolverCase:
    """One cell of the matrix.

    Attributes:
        rule: Of `RULES`.
        policy: Of `POLICIES`.
        option: Of `OPTIONS`.
        delta: The field; empty for Caffe's own.
    """

    rule: str
    policy: str
    option: str
    delta: str

    @property
    def name(self) -> str:
        """What it is called, in files too."""
        return f"{self.rule}-{self.policy}-{self.option}"

    @property
    def fields(self) -> str:
        """The solver's fields."""
        return (
            f'type: "{self.rule}" {RULES[self.rule]} {self.delta} lr_policy: "{self.policy}" {POLICIES[self.policy]}'
            f" {OPTIONS[self.option]} display: 1"
        )


MATRIX: Final = tuple(
    SolverCase(rule, policy, option, DELTAS.get(rule, ""))
    for rule, policy, option in product(RULES, POLICIES, OPTIONS)
)


class SolverBench:
    """The data, the two nets and the solvers of the matrix in a folder.

    Args:
        folder: Where all lies.
        rows: How many rows the data have.
    """

    def __init__(self, folder: Path, *, rows: int = ROWS) -> None:
        self.folder: Final = folder
        source = _write_rows(folder, rows)
        self._write_net("plain", source, ("", "", ""))
        self._write_net("multipliers", source, _MULTIPLIERS)

    def solver(
        self, case: SolverCase, *, name: str = "", max_iter: int = ITERATIONS + 3, more: str = ""
    ) -> Path:
        """Writes the solver of a case into a folder of its own.

        Args:
            case: The case.
            name: Of the folder; the case's if empty.
            max_iter: Where the policy poly ends; and programs, but not pycaffe's steps.
            more: Further fields.
        """
        net = self.folder / f"{'multipliers' if case.option in MULTIPLIED else 'plain'}.prototxt"
        path = self.folder / (name or case.name) / "solver.prototxt"
        return write_solver(path, net=net, fields=f"{case.fields} max_iter: {max_iter} {more}")

    def _write_net(self, name: str, source: Path, params: tuple[str, str, str]) -> None:
        layers = (_CONV, _HIDDEN, _SCORES)
        text = _DATA.format(rows=source) + "".join(
            layer.format(params=each, fillers=_FILLERS) for layer, each in zip(layers, params, strict=True)
        )
        (self.folder / f"{name}.prototxt").write_text(text)


def _write_rows(folder: Path, count: int) -> Path:
    # With this seed no gradient begins at 0 up to rounding, of which Adam would make a whole step.
    random = np.random.default_rng(5)
    path = folder / "rows.h5"
    with h5py.File(path, "w") as file:
        file["data"] = random.standard_normal((count, 2, 7, 11)).astype(np.float32)
        file["label"] = random.integers(0, 3, (count,)).astype(np.float32)
    source = folder / "rows.txt"
    source.write_text(f"{path}\n")
    return source
