"""Which learned blobs a net owns, which are shared, and how fast each learns.

Caffe's rules (`net.cpp` AppendParam): the first layer that names a param owns it; later ones of that
name share its values and add to its gradient. A multiplier that the owner does not write is taken from
the first sharer that does; two different written ones are an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from caffeflow.errors import NetError
from caffeflow.layers.inference import LayerFacts
from caffeflow.layers.params import dims
from caffeflow.layers.spec import Blob
from caffeflow.proto.caffe_pb2 import ParamSpec

_MULTIPLIERS: Final = ("lr_mult", "decay_mult")


@dataclass(frozen=True)
class Place:
    """One learned blob of one layer: numbers of the layer and of the blob within it."""

    layer: int
    blob: int


@dataclass(frozen=True, kw_only=True)
class Owned:
    """One learned blob of the net, with every place where it is used; the first place owns it."""

    places: tuple[Place, ...]
    lr_mult: float
    decay_mult: float


def owned_blobs(layers: Sequence[LayerFacts]) -> list[Owned]:
    """Returns the learned blobs in the order of Caffe's learnable params, which history files keep.

    Raises:
        NetError: Layers that share a param by name disagree in shape or in a multiplier.
    """
    groups: dict[str | Place, list[Place]] = {}
    for place, spec, _ in _all_places(layers):
        groups.setdefault(spec.name or place, []).append(place)
    by_place = {place: (spec, blob) for place, spec, blob in _all_places(layers)}
    owned = []
    for places in groups.values():
        owner = by_place[places[0]][1]
        for place in places[1:]:
            _check_shapes(layers, places[0], place, *by_place[place], owner)
        specs = [(layers[place.layer].name, *by_place[place]) for place in places]
        lr_mult, decay_mult = (_multiplier(field, specs) for field in _MULTIPLIERS)
        owned.append(Owned(places=tuple(places), lr_mult=lr_mult, decay_mult=decay_mult))
    return owned


def _all_places(layers: Sequence[LayerFacts]) -> Iterator[tuple[Place, ParamSpec, Blob]]:
    for number, layer in enumerate(layers):
        written = layer.node.layer.param
        for index, blob in enumerate(layer.blobs):
            spec = written[index] if index < len(written) else ParamSpec()
            yield Place(number, index), spec, blob


def _check_shapes(
    layers: Sequence[LayerFacts], owner: Place, sharer: Place, spec: ParamSpec, blob: Blob, owned: Blob
) -> None:
    if spec.share_mode == ParamSpec.PERMISSIVE:
        if math.prod(blob.shape) == math.prod(owned.shape):
            return
        wanted = "the same number of values (share_mode PERMISSIVE)"
    else:
        if blob.shape == owned.shape:
            return
        wanted = "the same shape (share_mode STRICT)"
    raise NetError(
        f"cannot share param '{spec.name}' with layer '{layers[owner.layer].name}': expected {wanted}, found"
        f" {dims(blob.shape)} here and {dims(owned.shape)} there",
        layer=layers[sharer.layer].name,
    )


def _multiplier(field: str, specs: Sequence[tuple[str, ParamSpec, Blob]]) -> float:
    written = [(layer, getattr(spec, field)) for layer, spec, _ in specs if spec.HasField(field)]
    for layer, value in written[1:]:
        if value != written[0][1]:
            raise NetError(
                f"shared param '{specs[0][1].name}' has {field} {value:g} here and {written[0][1]:g} in layer"
                f" '{written[0][0]}'; write the same, or write it once",
                layer=layer,
            )
    if written:
        return float(written[0][1])
    # Caffe: BatchNorm adds specs with lr_mult 0 for its statistics where the file has none.
    return 0.0 if field == "lr_mult" and not specs[0][2].trained else 1.0
