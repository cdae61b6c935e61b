"""A folder with images of boxes, a small SSD in train, test and deploy files, and a solver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import lmdb
import numpy as np

from caffeflow.proto import caffe_pb2
from caffeflow.workflows.train import train
from caffeflow.workflows.train_settings import TrainReport, TrainSettings
from tests.support.training_project import Silent

Box = tuple[int, float, float, float, float, bool]  # label, xmin, ymin, xmax, ymax as shares, difficult

COLOURS = {1: (40, 60, 250), 2: (240, 200, 30)}

LABEL_MAP = """
item { name: "none_of_the_above" label: 0 display_name: "background" }
item { name: "ball" label: 1 display_name: "a ball" }
item { name: "cube" label: 2 display_name: "a cube" }
"""

_RESIZE = "resize_param { prob: 1 resize_mode: WARP height: 28 width: 36 interp_mode: LINEAR }"


@dataclass
class Scene:
    """An image and its boxes."""

    image: np.ndarray
    boxes: list[Box] = field(default_factory=list)


def scenes(count: int, *, seed: int = 0, size: tuple[int, int] = (42, 54)) -> list[Scene]:
    """Pictures with up to three filled boxes of two colours; the fourth, eighth, … have none."""
    rng = np.random.default_rng(seed)
    height, width = size
    made = []
    for number in range(count):
        scene = Scene(rng.integers(90, 130, (height, width, 3)).astype(np.uint8))
        for _ in range(0 if number % 4 == 3 else rng.integers(1, 4)):
            label = int(rng.integers(1, 3))
            w, h = rng.integers(width // 4, width // 2), rng.integers(height // 4, height // 2)
            x, y = rng.integers(0, width - w), rng.integers(0, height - h)
            scene.image[y : y + h, x : x + w] = COLOURS[label]
            corners = (x / width, y / height, (x + w) / width, (y + h) / height)
            scene.boxes.append((label, *map(float, corners), bool(rng.random() < 0.1)))
        made.append(scene)
    return made


def annotated_datum(scene: Scene) -> bytes:
    """An AnnotatedDatum as SSD's convert_annoset lays it out."""
    datum = caffe_pb2.AnnotatedDatum(type="BBOX")
    datum.datum.data = cv2.imencode(".png", scene.image)[1].tobytes()
    datum.datum.label, datum.datum.encoded = -1, True
    datum.datum.height, datum.datum.width, datum.datum.channels = scene.image.shape
    groups: dict[int, caffe_pb2.AnnotationGroup] = {}
    for label, xmin, ymin, xmax, ymax, difficult in scene.boxes:
        if label not in groups:
            groups[label] = datum.annotation_group.add(group_label=label)
        annotation = groups[label].annotation.add(instance_id=len(groups[label].annotation))
        box = annotation.bbox
        box.xmin, box.ymin, box.xmax, box.ymax, box.difficult = xmin, ymin, xmax, ymax, difficult
    return datum.SerializeToString()


def write_scenes(path: Path, made: Sequence[Scene]) -> Path:
    """Writes scenes into an LMDB."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with lmdb.open(str(path), map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
        for number, scene in enumerate(made):
            transaction.put(f"{number:08d}_pictures/{number:06d}.jpg".encode(), annotated_datum(scene))
    return path


def data_layer(phase: str, source: str, batch_size: int, *, name: str = "data") -> str:
    return f"""
layer {{ name: "{name}" type: "AnnotatedData" top: "data" top: "label" include {{ phase: {phase} }}
  transform_param {{ mean_value: 110 scale: 0.0125 {_RESIZE} }}
  data_param {{ source: "{source}" batch_size: {batch_size} backend: LMDB }}
  annotated_data_param {{ label_map_file: "labelmap.prototxt" }} }}"""


def _convolution(name: str, bottom: str, outputs: int, kernel: int, stride: int = 1) -> str:
    return f"""
layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"
  convolution_param {{ num_output: {outputs} kernel_size: {kernel} pad: {kernel // 2} stride: {stride}
    weight_filler {{ type: "msra" }} }} }}"""


def _relu(blob: str) -> str:
    return f'\nlayer {{ name: "{blob}/relu" type: "ReLU" bottom: "{blob}" top: "{blob}" }}'


def _head(feature: str, kind: str, outputs: int) -> str:
    name = f"{feature}_mbox_{kind}"
    return (
        _convolution(name, feature, outputs, 3)
        + f"""
layer {{ name: "{name}_perm" type: "Permute" bottom: "{name}" top: "{name}_perm"
  permute_param {{ order: 0 order: 2 order: 3 order: 1 }} }}
layer {{ name: "{name}_flat" type: "Flatten" bottom: "{name}_perm" top: "{name}_flat" }}"""
    )


def _priors(feature: str, settings: str) -> str:
    return f"""
layer {{ name: "{feature}_mbox_priorbox" type: "PriorBox" bottom: "{feature}" bottom: "data"
  top: "{feature}_mbox_priorbox"
  prior_box_param {{ {settings} clip: false variance: 0.1 variance: 0.1 variance: 0.2 variance: 0.2 }} }}"""


def _join(kind: str, ending: str = "", axis: int = 1) -> str:
    bottoms = " ".join(f'bottom: "{feature}_mbox_{kind}{ending}"' for feature in ("conv3", "conv4"))
    return f"""
layer {{ name: "mbox_{kind}" type: "Concat" {bottoms} top: "mbox_{kind}" concat_param {{ axis: {axis} }} }}"""


def body(classes: int) -> str:
    """From data to the joined heads: 3 boxes a place on the first map, 2 on the second."""
    features = (
        _convolution("conv1", "data", 8, 3, 2) + _relu("conv1")
        + _convolution("conv2", "conv1", 12, 3, 2) + _relu("conv2")
        + _convolution("conv3", "conv2", 16, 3) + _relu("conv3")
        + _convolution("conv4", "conv3", 16, 3, 2) + _relu("conv4")
    )  # fmt: skip
    heads = "".join(
        _head(feature, "loc", 4 * boxes) + _head(feature, "conf", classes * boxes)
        for feature, boxes in (("conv3", 3), ("conv4", 2))
    )
    priors = _priors("conv3", "min_size: 11 aspect_ratio: 2") + _priors("conv4", "min_size: 15 max_size: 19")
    return (
        features + heads + priors + _join("loc", "_flat") + _join("conf", "_flat") + _join("priorbox", axis=2)
    )


def loss(classes: int) -> str:
    return f"""
layer {{ name: "mbox_loss" type: "MultiBoxLoss" bottom: "mbox_loc" bottom: "mbox_conf" bottom: "mbox_priorbox"
  bottom: "label" top: "mbox_loss" include {{ phase: TRAIN }}
  propagate_down: true propagate_down: true propagate_down: false propagate_down: false
  multibox_loss_param {{ num_classes: {classes} code_type: CENTER_SIZE }} }}"""


def detection(classes: int) -> str:
    return f"""
layer {{ name: "mbox_conf_reshape" type: "Reshape" bottom: "mbox_conf" top: "mbox_conf_reshape"
  reshape_param {{ shape {{ dim: 0 dim: -1 dim: {classes} }} }} }}
layer {{ name: "mbox_conf_softmax" type: "Softmax" bottom: "mbox_conf_reshape" top: "mbox_conf_softmax"
  softmax_param {{ axis: 2 }} }}
layer {{ name: "mbox_conf_flatten" type: "Flatten" bottom: "mbox_conf_softmax" top: "mbox_conf_flatten" }}
layer {{ name: "detection_out" type: "DetectionOutput" bottom: "mbox_loc" bottom: "mbox_conf_flatten"
  bottom: "mbox_priorbox" top: "detection_out" include {{ phase: TEST }}
  detection_output_param {{ num_classes: {classes} code_type: CENTER_SIZE keep_top_k: 50
    confidence_threshold: 0.01 nms_param {{ nms_threshold: 0.45 top_k: 100 }} }} }}"""


def evaluation(classes: int) -> str:
    return f"""
layer {{ name: "detection_eval" type: "DetectionEvaluate" bottom: "detection_out" bottom: "label"
  top: "detection_eval" include {{ phase: TEST }}
  detection_evaluate_param {{ num_classes: {classes} evaluate_difficult_gt: false }} }}"""


SOLVER = """
train_net: "models/tiny/train.prototxt" test_net: "models/tiny/test.prototxt"
base_lr: 0.01 momentum: 0.9 lr_policy: "fixed" random_seed: 5 display: 20 average_loss: 5
snapshot_prefix: "models/tiny/tiny" test_initialization: false
"""
FIELDS = 'max_iter: 60 test_iter: 3 test_interval: 30 eval_type: "detection" ap_version: "11point"'


class DetectionProject:
    """The folder, which must be the working one; 32 training scenes, 15 test scenes.

    Args:
        classes: num_classes of the nets; the labels are 1 and 2.
    """

    folder = Path("models/tiny")
    solver = folder / "solver.prototxt"
    train_lmdb, val_lmdb = Path("data/scenes/train_lmdb"), Path("data/scenes/val_lmdb")

    def __init__(self, fields: str = FIELDS, *, classes: int = 3) -> None:
        self.train_scenes, self.val_scenes = scenes(32, seed=1), scenes(15, seed=2)
        write_scenes(self.train_lmdb, self.train_scenes)
        write_scenes(self.val_lmdb, self.val_scenes)
        Path("labelmap.prototxt").write_text(LABEL_MAP)
        self.folder.mkdir(parents=True)
        name = 'name: "tiny"\n'
        self.write(
            "train", name + data_layer("TRAIN", str(self.train_lmdb), 8) + body(classes) + loss(classes)
        )
        shown = detection(classes)
        self.write(
            "test",
            name + data_layer("TEST", str(self.val_lmdb), 5) + body(classes) + shown + evaluation(classes),
        )
        entry = 'layer { name: "input" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 28 dim: 36 } } }'
        self.write("deploy", name + entry + body(classes) + shown)
        self.write_solver(fields)
        self.screen = Silent()

    def path(self, stage: str) -> Path:
        return self.folder / f"{stage}.prototxt"

    def write(self, stage: str, text: str) -> None:
        self.path(stage).write_text(text)

    def change(self, stage: str, old: str, new: str) -> None:
        """Puts something else into a file, where it is once."""
        text = self.path(stage).read_text()
        assert text.count(old) == 1, f"{text.count(old)} of {old!r}"
        self.write(stage, text.replace(old, new))

    def write_solver(self, fields: str) -> None:
        self.solver.write_text(SOLVER + fields)

    def train(self, **settings) -> TrainReport:
        return train(TrainSettings(solver=self.solver, **settings), self.screen)
