"""The learned blobs that a net begins with: those written in its file, else what its fillers draw.

The one rule to know: values are drawn in the order of the layers and of their blobs, and a param that
layers share by name is drawn once; so the same seed gives what the embedded engine begins with.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from caffeflow import fillers
from caffeflow.errors import NetError
from caffeflow.layers.inference import LayerFacts, NetShapes
from caffeflow.layers.params import dims
from caffeflow.layers.spec import Blob
from caffeflow.proto.binary import Array, LayerArrays, blob_to_array
from caffeflow.proto.caffe_pb2 import FillerParameter


def initial_arrays(
    shapes: NetShapes, *, seed: int, instead_of_zeros: FillerParameter | None = None
) -> list[LayerArrays]:
    """Returns the first values of all layers, also of those that learn nothing.

    Args:
        shapes: The net.
        seed: Of the random values.
        instead_of_zeros: Filler for weights that have none in the file, as in deploy files.

    Raises:
        NetError: A filler that Caffe would refuse, or written blobs that do not fit.
    """
    rng = np.random.default_rng(seed)
    shared: dict[str, Array] = {}
    layers = []
    for facts in shapes.layers:
        arrays = []
        for index, blob in enumerate(facts.blobs):
            filler = instead_of_zeros if has_no_filler(facts, blob) else blob.filler
            arrays.append(_blob(facts, index, filler, shared, rng))
        message = facts.node.layer
        layers.append(
            LayerArrays(message.name, message.type, tuple(message.bottom), tuple(message.top), tuple(arrays))
        )
    return layers


def has_no_filler(facts: LayerFacts, blob: Blob) -> bool:
    """Whether a blob is a weight that neither the file's values nor a filler set: Caffe makes it zeros."""
    return blob.name == "weight" and blob.filler is None and not facts.node.layer.blobs


def _blob(
    facts: LayerFacts,
    index: int,
    filler: FillerParameter | None,
    shared: dict[str, Array],
    rng: np.random.Generator,
) -> Array:
    blob = facts.blobs[index]
    params = facts.node.layer.param
    name = params[index].name if index < len(params) else ""
    if name and name in shared:
        return shared[name].reshape(blob.shape)
    written = facts.node.layer.blobs
    try:
        array = blob_to_array(written[index]) if written else fillers.fill(filler, blob.shape, rng)
    except NetError as error:
        error.layer = error.layer or facts.name
        raise
    except IndexError:
        raise _does_not_fit(facts, [tuple(one.shape.dim) for one in written]) from None
    if array.size != np.prod(blob.shape, dtype=int):
        raise _does_not_fit(facts, [array.shape])
    array = array.reshape(blob.shape)
    if name:
        shared[name] = array
    return array


def _does_not_fit(facts: LayerFacts, found: Sequence[tuple[int, ...]]) -> NetError:
    wanted = ", ".join(dims(blob.shape) for blob in facts.blobs)
    shapes = ", ".join(dims(shape) for shape in found)
    return NetError(
        f"the blobs written in the file do not fit: expected {wanted}; found {shapes}", layer=facts.name
    )
