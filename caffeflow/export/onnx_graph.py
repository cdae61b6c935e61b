"""What an ONNX graph is written into: nodes in order, weights, and names that never clash.

The one rule to know: learned values stay outside the messages, as arrays by name, until the file is
written; so a net's weights are never in memory more often than the caller has them and once more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from caffeflow.proto.binary import Array


class OnnxGraph:
    """The nodes and the constants of a graph that is being written.

    Args:
        opset: The version of ONNX's operators.
        names: Names that are taken: those of the blobs.

    Attributes:
        nodes: The nodes, each after those that it reads.
        weights: Floating-point constants by name.
        constants: Shapes and other whole numbers, which shape inference looks into.
    """

    def __init__(self, opset: int, names: Iterable[str]) -> None:
        self.opset = opset
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, Array] = {}
        self.constants: list[TensorProto] = []
        self._values = set(names)
        self._nodes: set[str] = set()

    def node(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str], *, name: str, **attributes: Any
    ) -> None:
        """Adds a node; attributes that are None are left out."""
        given = {key: value for key, value in attributes.items() if value is not None}
        self.nodes.append(helper.make_node(op, inputs, outputs, name=_free(name, self._nodes), **given))

    def new_value(self, name: str) -> str:
        """Returns the name, with a number behind it if it is taken, and takes it."""
        return _free(name, self._values)

    def weight(self, name: str, values: Array) -> str:
        """Adds a floating-point constant and returns its name."""
        unique = self.new_value(name)
        self.weights[unique] = values
        return unique

    def integers(self, name: str, values: Sequence[int]) -> str:
        """Adds a list of whole numbers and returns its name."""
        unique = self.new_value(name)
        array: NDArray[np.int64] = np.array(values, np.int64)
        self.constants.append(numpy_helper.from_array(array, unique))
        return unique


def _free(name: str, taken: set[str]) -> str:
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    taken.add(unique)
    return unique
