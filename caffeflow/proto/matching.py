"""Which weights go into which layer: Caffe's copy by name (`net.cpp` CopyTrainedLayersFrom).

For each source layer the first target layer of its name is taken; types are not compared. The number
of blobs must be equal, and so must the shapes, except that legacy four-dimensional blobs are aligned
from their last axis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from caffeflow.errors import WeightsError
from caffeflow.proto.binary import Array, LayerArrays

Shape = tuple[int, ...]


@dataclass(frozen=True)
class CopyPlan:
    """What copying a file's weights into a net does.

    Attributes:
        copied: Layer name and arrays, in the target's shapes.
        new: Target layers with learned blobs that the file does not have; they keep their values.
        skipped: Source layers with blobs for which the target has no layer.
    """

    copied: tuple[tuple[str, tuple[Array, ...]], ...]
    new: tuple[str, ...]
    skipped: tuple[str, ...]


def match(source: Sequence[LayerArrays], target: Mapping[str, Sequence[Shape]]) -> CopyPlan:
    """Matches the layers of a file with those of a net.

    Args:
        source: The file's layers.
        target: Layer name to the shapes of its learned blobs, for every layer of the net.

    Raises:
        WeightsError: Layers of the same name have other numbers of blobs or other shapes; it tells of the
            first, and how many there are.
    """
    copied: dict[str, tuple[Array, ...]] = {}
    skipped = []
    misfits = []
    for layer in source:
        if layer.name not in target:
            if layer.arrays:
                skipped.append(layer.name)
            continue
        shapes = target[layer.name]
        try:
            arrays = _fit_all(layer, shapes)
        except WeightsError as misfit:
            misfits.append(misfit)
            continue
        if shapes:
            copied[layer.name] = arrays
    if len(misfits) == 1:
        raise misfits[0]
    if misfits:
        raise WeightsError(f"{misfits[0]}; so it is with {len(misfits) - 1} more")
    new = tuple(name for name, shapes in target.items() if shapes and name not in copied)
    return CopyPlan(copied=tuple(copied.items()), new=new, skipped=tuple(skipped))


def describe(shape: Shape) -> str:
    """Returns a shape as Caffe prints it: the dimensions, then the count in parentheses."""
    count = 1
    for dim in shape:
        count *= dim
    return " ".join([*map(str, shape), f"({count})"])


def _fit_all(layer: LayerArrays, shapes: Sequence[Shape]) -> tuple[Array, ...]:
    if len(layer.arrays) != len(shapes):
        raise WeightsError(
            f"layer '{layer.name}': the file has {len(layer.arrays)} blobs, the net wants {len(shapes)};"
            " rename the layer to learn it from scratch, or use the net that the file was made with"
        )
    return tuple(
        _fit(layer.name, index, array, shape)
        for index, (array, shape) in enumerate(zip(layer.arrays, shapes, strict=True))
    )


def _fit(layer: str, index: int, array: Array, shape: Shape) -> Array:
    if array.shape == shape or is_legacy_of(array.shape, shape):
        return array.reshape(shape)
    raise WeightsError(
        f"layer '{layer}': blob {index} is {describe(array.shape)} in the file and {describe(shape)} in the"
        " net; rename the layer in the prototxt to learn it from scratch, or give the net the file's sizes"
    )


def is_legacy_of(source: Shape, target: Shape) -> bool:
    """Whether a four-dimensional shape equals the target padded with ones in front."""
    if len(source) != 4 or len(target) > 4:
        return False
    return source == (1,) * (4 - len(target)) + target
