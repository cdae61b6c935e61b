"""From a state_dict's tensors to a net's learned blobs.

The one rule to know: Caffe's BatchNorm keeps sums and how many they are of, so mean and variance go in
with a factor of 1; its weight and bias are a Scale layer's. Where the net has no BatchNorm it is folded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.errors import WeightsError
from caffeflow.layers.inference import LayerFacts
from caffeflow.proto.binary import LayerArrays
from caffeflow.weights.backbone import Norm
from caffeflow.weights.importing.counterpart import Counterpart, Part
from caffeflow.weights.importing.fit import is_missing_head
from caffeflow.weights.importing.normalisation import Normalisation
from caffeflow.weights.importing.recognise import COUNTER
from caffeflow.weights.surgery import Affine, affine_of, fold

Tensors = Mapping[str, NDArray[Any]]

# That of PyTorch's BatchNorm, and of Caffe's: neither torchvision's nets nor the templates set another.
_TORCH_EPS: Final = 1e-5
_ONE: Final = np.ones(1, np.float32)
_SHOWN: Final = 5


@dataclass(frozen=True)
class ImportRow:
    """Where a layer's values come from: its keys, and what was done to them."""

    layer: str
    keys: tuple[str, ...]
    how: str


@dataclass(frozen=True, kw_only=True)
class Imported:
    """A net's weights.

    Attributes:
        layers: In the net's order.
        rows: Where each comes from, in the same order.
        new: Layers that the file has nothing for.
        unused: Keys that went nowhere, without BatchNorm's counters.
        counters: How many of those there are.
    """

    layers: tuple[LayerArrays, ...]
    rows: tuple[ImportRow, ...]
    new: tuple[str, ...]
    unused: tuple[str, ...]
    counters: int


@dataclass(frozen=True, kw_only=True)
class Target:
    """The net that takes the weights.

    Attributes:
        facts: Its layers by name.
        norms: The BatchNorm and Scale behind each convolution that they follow.
        scale: What its data layers multiply pixels by.
    """

    facts: Mapping[str, LayerFacts]
    norms: Mapping[str, Norm]
    scale: Sequence[float]


def convert(
    counterpart: Counterpart, tensors: Tensors, target: Target, normalisation: Normalisation
) -> Imported:
    """Returns a net's weights from tensors that fit it.

    Raises:
        WeightsError: Values that are nan or infinite, or no floating numbers.
    """
    present = [part for part in counterpart.parts if not is_missing_head(part, shapes_of(tensors))]
    _check_values({key: tensors[key] for part in present for key in part.keys})
    made = [
        pair
        for number, part in enumerate(present)
        for pair in _of_part(part, tensors, target, normalisation if number == 0 else None)
    ]
    order = {name: place for place, name in enumerate(target.facts)}
    made.sort(key=lambda pair: order[pair[0].layer])
    to_learn = [name for name, facts in target.facts.items() if facts.blobs and not facts.node.layer.blobs]
    used = {key for row, _ in made for key in row.keys}
    filled = {row.layer for row, _ in made}
    left = [key for key in tensors if key not in used]
    return Imported(
        layers=tuple(layer for _, layer in made),
        rows=tuple(row for row, _ in made),
        new=tuple(name for name in to_learn if name not in filled),
        unused=tuple(key for key in left if not key.endswith(COUNTER)),
        counters=sum(key.endswith(COUNTER) for key in left),
    )


def shapes_of(tensors: Tensors) -> dict[str, tuple[int, ...]]:
    """Returns the shape of every tensor."""
    return {key: array.shape for key, array in tensors.items()}


def _of_part(
    part: Part, tensors: Tensors, target: Target, normalisation: Normalisation | None
) -> Iterator[tuple[ImportRow, LayerArrays]]:
    weight, *biases = (tensors[key] for key in part.weight_keys)
    how = []
    if normalisation is not None:
        weight = normalisation.absorbed(weight, target.scale)
        how.append("RGB to BGR, divided by 255 std")
    norm = target.norms.get(part.layer)
    statistics = [tensors[key] for key in part.norm_keys]
    keys = part.weight_keys
    if statistics and norm is None:
        weight, *biases = fold([weight, *biases], _affine(statistics))
        how.append("BatchNorm folded in")
        keys = part.keys
    facts = target.facts[part.layer]
    yield ImportRow(part.layer, keys, ", ".join(how) or "copied"), _layer(facts, weight, *biases)
    if statistics and norm is not None:
        yield from _norm(part, norm, statistics, target)


def _norm(
    part: Part, norm: Norm, statistics: Sequence[NDArray[Any]], target: Target
) -> Iterator[tuple[ImportRow, LayerArrays]]:
    factor, shift, mean, variance = statistics
    factor_key, shift_key, mean_key, variance_key = part.norm_keys
    yield (
        ImportRow(norm.batch_norm, (mean_key, variance_key), "copied"),
        _layer(target.facts[norm.batch_norm], mean, variance, _ONE),
    )
    yield (
        ImportRow(norm.scale, (factor_key, shift_key), "copied"),
        _layer(target.facts[norm.scale], factor, shift),
    )


def _affine(statistics: Sequence[NDArray[Any]]) -> Affine:
    factor, shift, mean, variance = statistics
    batch_norm = LayerArrays("", "BatchNorm", (), (), (mean, variance, _ONE))
    return affine_of(batch_norm, LayerArrays("", "Scale", (), (), (factor, shift)), eps=_TORCH_EPS)


def _layer(facts: LayerFacts, *arrays: NDArray[Any]) -> LayerArrays:
    """Returns arrays as a layer's blobs, in the shapes that the net gives them."""
    message = facts.node.layer
    blobs = tuple(
        np.ascontiguousarray(array, np.float32).reshape(blob.shape)
        for array, blob in zip(arrays, facts.blobs, strict=True)
    )
    return LayerArrays(message.name, message.type, tuple(message.bottom), tuple(message.top), blobs)


def _check_values(tensors: Tensors) -> None:
    """Refuses tensors that cannot be weights, by their keys."""
    whole = [f"'{key}' is {array.dtype}" for key, array in tensors.items() if array.dtype != np.float32]
    if whole:
        raise WeightsError(
            f"{', '.join(whole[:_SHOWN])}: expected floating values; give the weights from before they were"
            " quantized"
        )
    bad = [
        f"'{key}' ({count:,} of {array.size:,})"
        for key, array in tensors.items()
        if (count := array.size - int(np.isfinite(array).sum()))
    ]
    if bad:
        more = f" and {len(bad) - _SHOWN} more keys" if len(bad) > _SHOWN else ""
        raise WeightsError(
            f"values that are nan or infinite: {', '.join(bad[:_SHOWN])}{more}; expected numbers: the"
            " training has diverged, take an earlier file of it"
        )
