"""The learned blobs of the layers that are exported, by Caffe's copy by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from caffeflow.errors import WeightsError
from caffeflow.layers.inference import LayerFacts
from caffeflow.proto.binary import Array, LayerArrays, blob_to_array
from caffeflow.proto.matching import match


@dataclass(frozen=True)
class NetArrays:
    """What goes into a net.

    Attributes:
        by_layer: Layer name to its learned blobs.
        unused: Layers with blobs for which the net has no use.
    """

    by_layer: Mapping[str, tuple[Array, ...]]
    unused: tuple[str, ...]


def arrays_for(layers: Sequence[LayerFacts], source: Sequence[LayerArrays]) -> NetArrays:
    """Returns the learned blobs of some layers, in the shapes that these want.

    Args:
        layers: The layers that are exported.
        source: What the file has.

    Raises:
        WeightsError: The file has none for a layer, others than it wants, or values that are no numbers.
    """
    first: dict[str, LayerFacts] = {}
    for facts in layers:
        first.setdefault(facts.name, facts)
    plan = match(source, {name: [blob.shape for blob in facts.blobs] for name, facts in first.items()})
    arrays = dict(plan.copied)
    missing = [name for name in plan.new if not first[name].node.layer.blobs]
    if missing:
        wanted = sum(1 for facts in first.values() if facts.blobs)
        raise WeightsError(
            f"the weights have no layer '{missing[0]}', which the net learns ({len(missing)} of {wanted}"
            " layers are missing); give the weights of this net, or rename the layer as in the file"
        )
    for name in plan.new:
        arrays[name] = _written(first[name])
    for name, blobs in arrays.items():
        _check_finite(first[name], blobs)
    return NetArrays(by_layer=arrays, unused=plan.skipped)


def _written(facts: LayerFacts) -> tuple[Array, ...]:
    """Returns the blobs that stand in the prototxt itself."""
    arrays = [blob_to_array(blob) for blob in facts.node.layer.blobs]
    if [array.size for array in arrays] != [int(np.prod(blob.shape)) for blob in facts.blobs]:
        raise WeightsError(f"layer '{facts.name}': the blobs written in the file do not fit the layer")
    return tuple(array.reshape(blob.shape) for array, blob in zip(arrays, facts.blobs, strict=True))


def _check_finite(facts: LayerFacts, arrays: Sequence[Array]) -> None:
    for blob, array in zip(facts.blobs, arrays, strict=True):
        bad = array.size - int(np.isfinite(array).sum())
        if bad:
            raise WeightsError(
                f"layer '{facts.name}': {bad} of {array.size} values of its {blob.name} are nan or infinite;"
                " see: caffeflow weights show"
            )
