"""What of a file of weights goes into a net, said before the net runs.

The one rule to know: every message that finds something wrong tells of one layer, and ends in the command
that shows them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from caffeflow.errors import WeightsError
from caffeflow.proto.binary import LayerArrays
from caffeflow.proto.hdf5_weights import Shared
from caffeflow.proto.matching import CopyPlan, Shape
from caffeflow.weights.copying import copy_table, unusable
from caffeflow.weights.formats import read_weights
from caffeflow.workflows.open_net import OpenedNet

Loader = Callable[[Sequence[LayerArrays]], CopyPlan]


def learned_shapes(opened: OpenedNet) -> dict[str, list[Shape]]:
    """Returns the shapes of every layer's learned blobs; of several of a name, the first one's."""
    shapes: dict[str, list[Shape]] = {}
    for facts in opened.shapes().layers:
        shapes.setdefault(facts.name, [blob.shape for blob in facts.blobs])
    return shapes


def load_into(load: Loader, path: Path, *, net: str, shared: Shared) -> CopyPlan:
    """Copies a file's weights into a net that is ready to run, by name.

    Args:
        load: Copies layers into the net.
        path: The file.
        net: What the user calls the net, for messages.
        shared: The blobs that the net's layers share.

    Raises:
        WeightsError: The file cannot be read, or a layer does not fit.
    """
    layers = read_weights(path, shared=shared)
    try:
        return load(layers)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}; {where_all_is(path, net)}") from error


def check_beginning(plan: CopyPlan, path: Path, *, net: str) -> None:
    """Makes sure that what was copied is worth beginning with; layers may be left to their fillers.

    Raises:
        WeightsError: Nothing was copied, or values that are nan or infinite.
    """
    if not plan.copied:
        raise WeightsError(
            f"{path}: are the weights of another net: none of its layers is in {net};"
            f" {where_all_is(path, net)}"
        )
    bad = not_finite(plan)
    if bad:
        raise WeightsError(f"{path}: values that are nan or infinite in {bad}; take an earlier snapshot")


def not_finite(plan: CopyPlan) -> str:
    """Returns the layers that were given nan or infinite values, in words; empty if none was."""
    bad = [name for name, arrays in plan.copied if not all(bool(np.isfinite(each).all()) for each in arrays)]
    return named(bad) if bad else ""


def fitting(opened: OpenedNet, layers: Sequence[LayerArrays], *, path: Path, asked: str) -> list[LayerArrays]:
    """Returns the layers of a file in a net's shapes; all layers of the net that learn must be there.

    Args:
        opened: The net.
        layers: The file's layers.
        path: The file, for messages.
        asked: What the user calls the net, for messages.

    Raises:
        WeightsError: Layers do not fit or are missing; a line, and the command that shows them all.
    """
    shapes = learned_shapes(opened)
    table = copy_table(layers, shapes)
    wrong = [row for row in table.rows if row.state in ("mismatched", "new")]
    learned = [name for name, blobs in shapes.items() if blobs]
    if wrong:
        first = wrong[0].reason or f"nothing for layer '{wrong[0].layer}'"
        raise WeightsError(
            f"{path}: does not fit {asked}: {len(wrong)} of its {len(learned)} layers get no weights; the"
            f" first: {first.partition(';')[0]}; {where_all_is(path, asked)}"
        )
    bad = unusable(layers, shapes)
    if bad:
        raise WeightsError(
            f"{path}: values that are nan or infinite in {named(bad)}; take an earlier snapshot"
        )
    return list(in_shape(layers, shapes))


def in_shape(layers: Sequence[LayerArrays], shapes: Mapping[str, Sequence[Shape]]) -> Iterator[LayerArrays]:
    """Yields a file's layers in the net's shapes; of several of a name, the last one."""
    for name, layer in {layer.name: layer for layer in layers if layer.name in shapes}.items():
        arrays = tuple(array.reshape(shape) for array, shape in zip(layer.arrays, shapes[name], strict=True))
        yield replace(layer, arrays=arrays)


def where_all_is(path: Path, net: str) -> str:
    """Returns the words that lead to the table of all layers."""
    return f"all layers in a table: caffeflow weights diff {path} {net}"


def named(layers: Sequence[str]) -> str:
    """Returns the names if they are few, else the first ones and how many more."""
    names = ", ".join(f"'{name}'" for name in layers[:5])
    more = f" and {len(layers) - 5} more" if len(layers) > 5 else ""
    return f"layer{'s' if len(layers) > 1 else ''} {names}{more}"
