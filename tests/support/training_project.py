"""A folder with images, a net and a solver to train: everything random that a run can have."""

from __future__ import annotations

from pathlib import Path

from caffeflow.workflows.train import train
from caffeflow.workflows.train_settings import TrainReport, TrainSettings
from tests.support.records import random_planes, write_image_list

NET = """
name: "tiny"
layer { name: "data" type: "ImageData" top: "data" top: "label" include { phase: TRAIN }
  transform_param { mirror: true crop_size: 7 scale: 0.01 }
  image_data_param { source: "images/list.txt" root_folder: "images/" batch_size: 5 shuffle: true } }
layer { name: "data" type: "ImageData" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 7 scale: 0.01 }
  image_data_param { source: "images/list.txt" root_folder: "images/" batch_size: 3 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 7 kernel_size: 3 bias_term: false weight_filler { type: "msra" } } }
layer { name: "conv/bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "conv/scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "conv/relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  inner_product_param { num_output: CLASSES weight_filler { type: "xavier" } } }
layer { name: "accuracy" type: "Accuracy" bottom: "ip" bottom: "label" top: "accuracy" include { phase: TEST } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""

SOLVER = """
net: "models/tiny/train_val.prototxt"
base_lr: 0.01 momentum: 0.9 weight_decay: 0.001 lr_policy: "step" gamma: 0.5 stepsize: 10
random_seed: 7 display: 4 average_loss: 3
"""

FIELDS = "max_iter: 30 test_iter: 2 test_interval: 6 snapshot: 5"


class Silent:
    """A screen that keeps what it was shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.notes: list[str] = []

    def log(self, line: str) -> None:
        self.lines.append(line)

    def main(self, text: str) -> None:
        self.notes.append(text)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def progress(self, done: int, total: int, note: str) -> None:
        """Does nothing; tests put something else in its place."""


class Project:
    """The folder, which must be the working one.

    Args:
        fields: More of the solver.
        classes: Outputs of the net; the labels are 0 to 4.
    """

    solver = Path("models/tiny/solver.prototxt")

    def __init__(self, fields: str = FIELDS, *, classes: int = 5) -> None:
        planes = random_planes(13, (3, 9, 8))
        Path("images").mkdir(exist_ok=True)
        write_image_list(Path("images"), planes, [number % 5 for number in range(13)])
        self.solver.parent.mkdir(parents=True, exist_ok=True)
        self.solver.with_name("train_val.prototxt").write_text(NET.replace("CLASSES", str(classes)))
        self.write_solver(fields)
        self.screen = Silent()

    def write_solver(self, fields: str) -> None:
        self.solver.write_text(SOLVER + fields)

    def train(self, **settings) -> TrainReport:
        return train(TrainSettings(solver=self.solver, **settings), self.screen)


def runs() -> list[str]:
    return sorted(path.name for path in Path("runs").glob("*"))
