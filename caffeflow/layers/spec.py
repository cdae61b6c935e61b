"""What a layer type is, without torch: the table that everything else about layers walks.

One `LayerSpec` a type. Shape inference, `summary`, `weights init`, the engine, the docs and the tests
read it; only `read` touches the fields of a message, and only the family's own file knows its params.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from caffeflow.errors import UnsupportedLayerError, suggestion
from caffeflow.layers.unsupported import UNSUPPORTED
from caffeflow.proto.caffe_pb2 import FillerParameter, LayerParameter
from caffeflow.proto.forks import foreign_tree_of_layer, instead_of_layer

Shape = tuple[int, ...]

Count = int | tuple[int, int | None]
"""How many bottoms or tops: exactly `n`, or from `low` to `high` (None: any number)."""


@dataclass(frozen=True, kw_only=True)
class Blob:
    """One learned array of a layer, as a caffemodel stores it.

    Attributes:
        name: What it is: `weight`, `bias`, `mean`, …
        shape: Its shape in the caffemodel.
        filler: How it begins; None stands for zeros.
        trained: False for running statistics, which no gradient changes.
    """

    name: str
    shape: Shape
    filler: FillerParameter | None = None
    trained: bool = True


def no_params(_layer: LayerParameter) -> None:
    """The params of a layer that has no settings."""
    return


def same_shape(_params: Any, bottoms: Sequence[Shape]) -> list[Shape]:
    """The shape of a layer with one top like its first bottom."""
    return [bottoms[0]]


def no_blobs(_params: Any, _bottoms: Sequence[Shape]) -> list[Blob]:
    """The blobs of a layer that learns nothing."""
    return []


def no_macs(_params: Any, _bottoms: Sequence[Shape], _tops: Sequence[Shape]) -> int:
    """The multiply-accumulates of a layer that is neither a convolution nor an inner product."""
    return 0


@dataclass(frozen=True, kw_only=True)
class LayerSpec:
    """What a layer type takes, makes, learns and costs.

    Attributes:
        type: The type's name in a prototxt.
        read: Makes the family's params of a message; NetError for what Caffe refuses.
        shapes: The shapes of the tops, of params and the shapes of the bottoms.
        bottoms: How many bottoms it takes.
        tops: How many tops it makes.
        tops_like_bottoms: It makes as many tops as it takes bottoms.
        may_be_in_place: Caffe's results hold where the top overwrites the bottom.
        blobs: The learned arrays in caffemodel order.
        learns: The names that `blobs` may give, in that order.
        settings: The fields of a layer that `read` looks into, besides the one of the type's own name.
        macs: Multiply-accumulates of one forward over the whole batch.
        default_loss_weight: The weight of the first top where the file sets none: 1 for losses.
        auto_tops: Tops that the file leaves out are made all the same.
        reads_source: Its tops depend on a file of records: `shapes` gets their (C, H, W) as bottom.
        runs_code: Its shapes come from a user's own code: `read` gets the phase in the message, and
            `shapes` is asked again whenever the net's inputs get other shapes.
        note: A limit that users should know; shown in the docs.
    """

    type: str
    read: Callable[[LayerParameter], Any]
    shapes: Callable[[Any, Sequence[Shape]], list[Shape]]
    bottoms: Count = 1
    tops: Count = 1
    tops_like_bottoms: bool = False
    may_be_in_place: bool = False
    blobs: Callable[[Any, Sequence[Shape]], list[Blob]] = no_blobs
    learns: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    macs: Callable[[Any, Sequence[Shape], Sequence[Shape]], int] = no_macs
    default_loss_weight: float = 0.0
    auto_tops: bool = False
    reads_source: bool = False
    runs_code: bool = False
    note: str = ""


_SPECS: dict[str, LayerSpec] = {}
_FAMILIES: dict[str, str] = {}

SPECS: Mapping[str, LayerSpec] = MappingProxyType(_SPECS)
"""Every layer type that shapes and the embedded engine know."""


def register(spec: LayerSpec) -> LayerSpec:
    """Enters a layer type in the table; each family's file does so when it is imported.

    Raises:
        ValueError: The type is there already.
    """
    if spec.type in _SPECS:
        raise ValueError(f"layer type '{spec.type}' is registered twice")
    _SPECS[spec.type] = spec
    # Who calls is the family; to name it at each of the calls would be a second truth.
    _FAMILIES[spec.type] = sys._getframe(1).f_globals["__name__"]
    return spec


def family_of(layer_type: str) -> str:
    """Returns the name of the module that registered a type."""
    return _FAMILIES[layer_type]


def spec_for(layer: LayerParameter) -> LayerSpec:
    """Returns the spec of a layer's type.

    Raises:
        UnsupportedLayerError: The type is not run here; says whose it is, or the nearest name.
    """
    if layer.type in _SPECS:
        return _SPECS[layer.type]
    if layer.type in UNSUPPORTED:
        reason = f"type '{layer.type}' {UNSUPPORTED[layer.type]}"
    elif not layer.type:
        reason = 'it has no type; write type: "…"'
    elif tree := foreign_tree_of_layer(layer.type):
        instead = instead_of_layer(layer.type) or "a Python layer"
        reason = (
            f"type '{layer.type}' is of {tree} and not run here; put {instead} in its place, or use a caffe"
            " built from such a tree"
        )
    else:
        reason = f"unknown layer type '{layer.type}'{_nearest(layer.type) or '; see: caffeflow layers'}"
    raise UnsupportedLayerError(reason, layer=layer.name)


def _nearest(unknown: str) -> str:
    known = {name.casefold(): name for name in (*_SPECS, *UNSUPPORTED)}
    if unknown.casefold() in known:
        return f"; did you mean '{known[unknown.casefold()]}'?"
    return suggestion(unknown, known.values())
