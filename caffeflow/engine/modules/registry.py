"""The table of PyTorch modules by layer type, and what they all share.

The one rule: a module computes what Caffe's layer computes, from the params that `caffeflow.layers` read.
Loss weights, parameter sharing and fillers are the net's business; learned blobs begin as zeros here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from caffeflow.errors import UnsupportedLayerError
from caffeflow.layers.spec import LayerSpec, Shape, spec_for
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class Setup:
    """All that a module is made from.

    Attributes:
        layer: The message.
        params: What the spec's `read` made of it.
        bottoms: Shapes of the bottoms.
        tops: Shapes of the tops.
        phase: `TRAIN` or `TEST`.
        generator: Where Dropout draws from; None: torch's default for the device.
    """

    layer: LayerParameter
    params: Any
    bottoms: tuple[Shape, ...]
    tops: tuple[Shape, ...]
    phase: str
    generator: torch.Generator | None = None

    @property
    def is_training(self) -> bool:
        """Whether the phase is TRAIN."""
        return self.phase == "TRAIN"


class LayerModule(nn.Module):
    """A layer: its learned blobs under the names and in the order of its spec.

    Attributes:
        spec: What the layer's type is.
        blob_names: Names of the learned blobs in caffemodel order; each is an attribute.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__()
        self.spec: LayerSpec = spec_for(setup.layer)
        blobs = self.spec.blobs(setup.params, setup.bottoms)
        self.blob_names = tuple(blob.name for blob in blobs)
        for blob in blobs:
            zeros = torch.zeros(blob.shape)
            if blob.trained:
                self.register_parameter(blob.name, nn.Parameter(zeros))
            else:
                self.register_buffer(blob.name, zeros)

    @property
    def learned(self) -> list[Tensor]:
        """The learned blobs in caffemodel order: parameters, and statistics as buffers."""
        return [getattr(self, name) for name in self.blob_names]

    @property
    def carried(self) -> tuple[str, ...]:
        """Names of the tensors that one forward leaves to the next, beside the learned blobs."""
        return ()

    def __call__(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Returns the top, or the tops."""
        tops: Tensor | tuple[Tensor, ...] = super().__call__(*bottoms)
        return tops


def at_least_single(x: Tensor) -> Tensor:
    """Returns x, in float32 if it is in half precision, for sums, counts and indices that need the digits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


_MODULES: dict[str, type[LayerModule]] = {}

MODULES: Mapping[str, type[LayerModule]] = MappingProxyType(_MODULES)
"""The module class of every layer type that the embedded engine runs."""

M = TypeVar("M", bound=LayerModule)


def module(*types: str) -> Callable[[type[M]], type[M]]:
    """Enters a module class in the table under its layer types.

    Raises:
        ValueError: A type is there already.
    """

    def enter(made: type[M]) -> type[M]:
        for name in types:
            if name in _MODULES:
                raise ValueError(f"a module for layer type '{name}' is registered twice")
            _MODULES[name] = made
        return made

    return enter


def build_module(setup: Setup) -> LayerModule:
    """Returns the module of a layer, on the CPU in float32, with blobs of zeros.

    Raises:
        UnsupportedLayerError: The embedded engine does not run such a layer.
    """
    if setup.layer.type not in _MODULES:
        reason = f"type '{setup.layer.type}' has no module in the embedded engine"
        raise UnsupportedLayerError(reason, layer=setup.layer.name)
    return _MODULES[setup.layer.type](setup)
