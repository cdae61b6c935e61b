"""A bundle: the folder that `deploy` writes, with all that is needed to run a net somewhere else.

    deploy.prototxt  model.caffemodel  preprocess.json  labels.txt  check.npz  README.md
    (mean.npy where a mean image is subtracted; labelmap.prototxt in place of labels.txt for boxes)

`read_bundle` looks at the small files; weights are read by whoever runs the net.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from caffeflow.errors import DataError, NetError, UsageError
from caffeflow.layers.inference import NetShapes, infer
from caffeflow.proto.graph import Graph, Value, build_graph
from caffeflow.proto.net import NetRole, filter_net, net_state
from caffeflow.proto.text import located, read_net
from caffeflow.workflows.bundle_preprocess import PREPROCESS_NAME, Preprocess, read_preprocess

DEPLOY_NAME: Final = "deploy.prototxt"
MODEL_NAME: Final = "model.caffemodel"
LABELS_NAME: Final = "labels.txt"
LABEL_MAP_NAME: Final = "labelmap.prototxt"
CHECK_NAME: Final = "check.npz"
README_NAME: Final = "README.md"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A deployed net.

    Attributes:
        folder: Where it lies.
        role: The net.
        labels: What the classes are called, in the order of the scores; empty for a net with boxes.
    """

    folder: Path
    role: NetRole
    preprocess: Preprocess
    labels: tuple[str, ...]

    @property
    def weights(self) -> Path:
        """The caffemodel."""
        return self.folder / MODEL_NAME

    @cached_property
    def graph(self) -> Graph:
        """The net's layers, linked."""
        with located(self.role.net_file):
            return build_graph(self.role.net)

    @cached_property
    def shapes(self) -> NetShapes:
        """The shapes of the net."""
        with located(self.role.net_file):
            return infer(self.graph)

    @property
    def finds_boxes(self) -> bool:
        """Whether the net lists boxes."""
        return any(layer.type == "DetectionOutput" for layer in self.role.net.layer)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Where a classifier's answer comes out.

    Attributes:
        blob: (N, classes), perhaps with axes of 1 behind.
        classes: How many scores an image gets.
        are_probabilities: They have been through a Softmax.
    """

    blob: str
    classes: int
    are_probabilities: bool


def is_bundle(path: Path) -> bool:
    """Tells whether a path is a folder that `deploy` has written."""
    return (path / PREPROCESS_NAME).is_file() and (path / DEPLOY_NAME).is_file()


def is_classifying_bundle(path: Path) -> bool:
    """Tells whether a path is a bundle, and not one of a net that finds boxes."""
    return is_bundle(path) and not read_bundle(path).finds_boxes


def read_bundle(folder: Path) -> Bundle:
    """Reads a bundle.

    Raises:
        UsageError: The folder is no bundle.
        NetError: Its net cannot be read.
        DataError: Its other files cannot be read, or do not fit the net.
    """
    if not is_bundle(folder):
        raise UsageError(
            f"{folder}: is no bundle ({DEPLOY_NAME} and {PREPROCESS_NAME} in one folder); make one with:"
            f" caffeflow deploy {folder} --out BUNDLE"
        )
    net_file = read_net(folder / DEPLOY_NAME)
    state = net_state("TEST")
    with located(net_file):
        role = NetRole(
            net_file=net_file, net=filter_net(net_file.net, state), state=state, label="deploy net"
        )
    labels = folder / LABELS_NAME
    return Bundle(
        folder=folder,
        role=role,
        preprocess=read_preprocess(folder),
        labels=read_labels(labels) if labels.exists() else (),
    )


def read_labels(path: Path) -> tuple[str, ...]:
    """Returns the lines of a file of class names, in the order of the labels.

    Raises:
        DataError: It cannot be read, or has an empty line among the others.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").rstrip().splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text; expected a class name a line") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise DataError(f"{path}:{number}: is empty; expected a class name on each line, in label order")
    return tuple(line.strip() for line in lines)


def scores_of(graph: Graph, shapes: NetShapes, *, what: str) -> Scores:
    """Returns where a classifier's scores come out.

    Args:
        graph: The deployed net.
        shapes: Its shapes.
        what: The net, for messages.

    Raises:
        NetError: The net does not give one score a class and image.
    """
    outputs = list(graph.outputs)
    if len(outputs) > 1:
        outputs = [value for value in outputs if maker_type(graph, value) == "Softmax"]
    if len(outputs) != 1:
        names = ", ".join(f"'{value.blob}'" for value in graph.outputs)
        raise NetError(f"{what}: has the outputs {names}; expected one, with a score for each class")
    shape = shapes.tops[outputs[0]]
    if len(shape) < 2 or any(side != 1 for side in shape[2:]):
        shown = " x ".join(map(str, shape))
        raise NetError(
            f"{what}: output '{outputs[0].blob}' is {shown}; expected one score for each class of an image"
        )
    return Scores(
        blob=outputs[0].blob,
        classes=shape[1],
        are_probabilities=maker_type(graph, outputs[0]) == "Softmax",
    )


def maker_type(graph: Graph, value: Value) -> str:
    """Returns the type of the layer that makes a value."""
    return next(node.layer.type for node in graph.nodes if value in node.tops)
