"""A net as ONNX: the model without its weights, the weights by name, and how both become one file.

The one rule to know: a file is made in pieces, one weight after the other, so that a large net is never
held twice; protobuf's own serialising would.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import onnx
from google.protobuf.message import Message
from onnx import ModelProto, TensorProto, checker, helper, numpy_helper, shape_inference

from caffeflow.errors import CheckError, WeightsError
from caffeflow.export.detection_head import DetectionHead
from caffeflow.proto.binary import Array

_LARGEST: Final = 2**31 - 1
"""Bytes: what protobuf can hold in one message."""


@dataclass(frozen=True, kw_only=True)
class OnnxNet:
    """A net as ONNX.

    Attributes:
        frame: The model, but for its weights.
        weights: Floating-point initializers by name.
        inputs: Names of the inputs, with their shapes; -1: the batch size.
        outputs: The same of the outputs.
        blobs: For each output, the blob whose last value it is.
        head: The DetectionOutput layer that was cut off; None: there is none.
        unused: Layers of the weights that the net has no use for.
    """

    frame: ModelProto
    weights: Mapping[str, Array]
    inputs: Mapping[str, tuple[int, ...]]
    outputs: Mapping[str, tuple[int, ...]]
    blobs: Mapping[str, str]
    head: DetectionHead | None
    unused: tuple[str, ...]

    @property
    def opset(self) -> int:
        """The version of the operators."""
        return int(self.frame.opset_import[0].version)

    def head_outputs(self) -> list[str]:
        """Returns the names of the outputs that the layer cut off would read: loc, then conf."""
        names = {blob: name for name, blob in self.blobs.items()}
        return [names[value.blob] for value in (self.head.loc, self.head.conf)] if self.head else []

    def operators(self) -> dict[str, int]:
        """Returns how many nodes there are of each operator, by name."""
        types = sorted(node.op_type for node in self.frame.graph.node)
        return {op: types.count(op) for op in dict.fromkeys(types)}

    def model(self) -> ModelProto:
        """Returns the whole model as one message, weights and all."""
        model = ModelProto()
        model.CopyFrom(self.frame)
        model.graph.initializer.extend(
            numpy_helper.from_array(_little_endian(array), name) for name, array in self.weights.items()
        )
        return model

    def check(self) -> None:
        """Lets ONNX's own checker and its shape inference look at the graph.

        Raises:
            CheckError: They refuse it.
            WeightsError: The model would be larger than a file can be.
        """
        size = sum(array.nbytes for array in self.weights.values()) + self.frame.ByteSize()
        if size > _LARGEST:
            raise WeightsError(
                f"the model would have {size:,} bytes; an ONNX file holds at most {_LARGEST:,}"
            )
        # The weights' shapes are all that the checks need of them.
        bare = ModelProto()
        bare.CopyFrom(self.frame)
        bare.graph.input.extend(
            helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape)
            for name, array in self.weights.items()
        )
        try:
            onnx.checker.check_model(bare, full_check=True)
        except (checker.ValidationError, shape_inference.InferenceError) as error:
            what = " ".join(str(error).split())
            raise CheckError(
                f"net '{self.frame.graph.name}': ONNX's checker refuses the graph: {what}"
            ) from error

    def pieces(self) -> Iterator[bytes]:
        """Yields the bytes of the model's file."""
        shell = ModelProto()
        shell.CopyFrom(self.frame)
        shell.ClearField("graph")
        graph = self.frame.graph.SerializeToString()
        heads = [_tensor_head(name, array) for name, array in self.weights.items()]
        sizes = [len(head) + array.nbytes for head, array in zip(heads, self.weights.values(), strict=True)]
        tags = [_tag(self.frame.graph, "initializer", size) for size in sizes]
        yield shell.SerializeToString()
        yield _tag(self.frame, "graph", len(graph) + sum(map(len, tags)) + sum(sizes))
        yield graph
        for tag, head, array in zip(tags, heads, self.weights.values(), strict=True):
            yield tag + head
            yield _little_endian(array).tobytes()


def _tensor_head(name: str, array: Array) -> bytes:
    """Returns all of a tensor that stands before its values."""
    tensor = TensorProto(name=name, dims=array.shape, data_type=TensorProto.FLOAT)
    return tensor.SerializeToString() + _tag(tensor, "raw_data", array.nbytes)


def _tag(message: Message, field: str, size: int) -> bytes:
    """Returns what stands before a field of `size` bytes: its number and kind, then the size."""
    number = message.DESCRIPTOR.fields_by_name[field].number
    return _varint(number << 3 | 2) + _varint(size)


def _varint(value: int) -> bytes:
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])


def _little_endian(array: Array) -> Array:
    return np.ascontiguousarray(array, dtype="<f4").reshape(array.shape)
