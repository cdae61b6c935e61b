"""What writes a layer as ONNX nodes is given, and the table of those writers by layer type.

The one rule to know: a writer reads the params, shapes and arrays that `caffeflow.layers` made of the
message, never the message; and it writes exactly the layer's tops, or refuses with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import numpy as np

from caffeflow.errors import UnsupportedLayerError
from caffeflow.export.onnx_graph import OnnxGraph
from caffeflow.layers.inference import LayerFacts
from caffeflow.proto.binary import Array

Dims = tuple[int, ...]
"""A shape as ONNX's Reshape takes it: -1 where the size is the batch's."""

# From these opsets on an operator takes its axes as an input, before as an attribute.
_AXES_AS_INPUT: Final = {"ReduceSum": 13}
_AXES_AS_INPUT_OF_OTHERS: Final = 18


@dataclass(frozen=True, kw_only=True)
class OnnxLayer:
    """One layer to be written.

    Attributes:
        graph: Where it is written to.
        facts: Its params, shapes and learned blobs.
        arrays: The values of the learned blobs.
        bottoms: Names of the values that it reads.
        tops: Names of the values that it makes.
        bottom_dims: Their shapes; -1 for a size that changes with a batch size left open.
        top_dims: The same of the tops.
        phase: TRAIN or TEST.
        scale: The Scale that a BatchNorm does the work of; its tops are then this layer's.
    """

    graph: OnnxGraph
    facts: LayerFacts
    arrays: tuple[Array, ...]
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    bottom_dims: tuple[Dims, ...]
    top_dims: tuple[Dims, ...]
    phase: str
    scale: OnnxLayer | None = None

    @property
    def params(self) -> Any:
        """What the spec's `read` made of the message."""
        return self.facts.params

    @property
    def opset(self) -> int:
        """The version of the operators."""
        return self.graph.opset

    def add(self, op: str, *inputs: str, into: str = "", **attributes: Any) -> str:
        """Adds a node with one output and returns the output's name.

        Args:
            op: The operator.
            inputs: What it reads.
            into: What it makes, in a word; empty: the layer's first top.
            attributes: Of the operator; None leaves one out.
        """
        output = self.graph.new_value(f"{self.facts.name}/{into}") if into else self.tops[0]
        self.node(op, inputs, [output], into=into, **attributes)
        return output

    def node(
        self, op: str, inputs: Sequence[str], outputs: Sequence[str], *, into: str = "", **attributes: Any
    ) -> None:
        """Adds a node that makes the given values."""
        name = f"{self.facts.name}/{into}" if into else self.facts.name
        self.graph.node(op, inputs, outputs, name=name, **attributes)

    def learned(self, name: str) -> Array:
        """Returns the values of a learned blob."""
        names = [blob.name for blob in self.facts.blobs]
        return self.arrays[names.index(name)]

    def weight(self, name: str, values: Array | None = None) -> str:
        """Adds a learned blob, or other values in its place, and returns its name."""
        return self.graph.weight(
            f"{self.facts.name}/{name}", self.learned(name) if values is None else values
        )

    def scalar(self, name: str, value: float) -> str:
        """Adds a number and returns its name."""
        return self.graph.weight(f"{self.facts.name}/{name}", np.array(value, np.float32))

    def integers(self, name: str, values: Sequence[int]) -> str:
        """Adds a list of whole numbers and returns its name."""
        return self.graph.integers(f"{self.facts.name}/{name}", values)

    def reshape(self, value: str, dims: Sequence[int], *, into: str = "") -> str:
        """Adds a Reshape and returns the name of what it makes."""
        if list(dims).count(-1) > 1:
            self.refuse("more than one axis changes with the batch size; export it without --dynamic-batch")
        shape = self.integers(f"{into}_shape" if into else "shape", dims)
        return self.add("Reshape", value, shape, into=into)

    def reduce(self, op: str, value: str, axes: Sequence[int], *, keepdims: bool, into: str = "") -> str:
        """Adds one of ONNX's reductions and returns the name of what it makes."""
        kept = int(keepdims)
        if self.opset < _AXES_AS_INPUT.get(op, _AXES_AS_INPUT_OF_OTHERS):
            return self.add(op, value, into=into, axes=list(axes), keepdims=kept)
        places = self.integers(f"{into}_axes" if into else "axes", axes)
        return self.add(op, value, places, into=into, keepdims=kept)

    def refuse(self, reason: str) -> NoReturn:
        """Raises an error that names the layer.

        Raises:
            UnsupportedLayerError: Always.
        """
        raise UnsupportedLayerError(f"cannot be written as ONNX: {reason}", layer=self.facts.name)


Writer = Callable[[OnnxLayer], None]

WRITERS: Final[dict[str, Writer]] = {}
"""What writes a layer, by its type."""


def writes(*types: str) -> Callable[[Writer], Writer]:
    """Enters a function in the table for some layer types.

    Raises:
        ValueError: A type is there already.
    """

    def enter(writer: Writer) -> Writer:
        for type_ in types:
            if type_ in WRITERS:
                raise ValueError(f"layer type '{type_}' has two ONNX writers")
            WRITERS[type_] = writer
        return writer

    return enter
