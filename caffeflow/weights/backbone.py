"""A classification net's weights under the names, and in the form, of a detection net's backbone.

A layer of the detection net is made from one of the classification net, of another name. Where the
detection net has no BatchNorm, the classification net's is folded into the convolution; where it has
one, both are copied. Layers of another size are thinned out if the net's description says how.

The one rule to know: what follows a convolution is found in the two graphs, not guessed from names.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from caffeflow.errors import WeightsError
from caffeflow.layers.inference import LayerFacts, NetShapes
from caffeflow.proto.binary import Array, LayerArrays
from caffeflow.proto.graph import Graph, Node
from caffeflow.proto.matching import describe
from caffeflow.weights.surgery import affine_of, decimate, fold

COPIED: Final = "copied"
FOLDED: Final = "folded"
CONVERTED: Final = "converted"

_WEIGHTED: Final = ("Convolution", "InnerProduct")


@dataclass(frozen=True, kw_only=True)
class Norm:
    """The normalisation behind a convolution.

    Attributes:
        batch_norm: The BatchNorm's name.
        scale: The name of the Scale behind it, or an empty string.
        eps: The BatchNorm's.
    """

    batch_norm: str
    scale: str
    eps: float


@dataclass(frozen=True)
class Row:
    """Where one layer's values come from.

    Attributes:
        layer: The detection net's layer.
        sources: The classification net's layers.
        how: `copied`, `folded` or `converted`.
    """

    layer: str
    sources: tuple[str, ...]
    how: str


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """The backbone's weights.

    Attributes:
        layers: Named as in the detection net.
        rows: Where each comes from, in the same order.
        new: Layers of the detection net that learn from their fillers on.
        unused: Layers of the file that went nowhere.
    """

    layers: tuple[LayerArrays, ...]
    rows: tuple[Row, ...]
    new: tuple[str, ...]
    unused: tuple[str, ...]


def norms_of(graph: Graph) -> dict[str, Norm]:
    """Returns what follows each convolution that a BatchNorm follows, by the convolution's name."""
    found = {node.name: _find_norm(graph, node) for node in graph.nodes if node.layer.type in _WEIGHTED}
    return {name: norm for name, norm in found.items() if norm is not None}


def map_backbone(
    source: Sequence[LayerArrays],
    *,
    names: Mapping[str, str],
    windows: Mapping[str, Sequence[int]],
    norms_there: Mapping[str, Norm],
    norms_here: Mapping[str, Norm],
    shapes: NetShapes,
) -> Mapped:
    """Returns a classification net's weights as those of a detection net's backbone.

    Args:
        source: The layers of the classification net's file; all that `names` asks for are there.
        names: Layer of the detection net to layer of the classification net.
        windows: For layers that may be thinned out: the shape (C, H, W) of one output's weights.
        norms_there: What follows the classification net's convolutions.
        norms_here: What follows the detection net's.
        shapes: The detection net.

    Raises:
        WeightsError: A layer that does not fit.
    """
    facts = {layer.name: layer for layer in shapes.layers if layer.blobs}
    surgeon = _Surgeon({layer.name: layer for layer in source}, windows, norms_there, norms_here, facts)
    made = [each for target, origin in names.items() for each in surgeon.make(target, origin)]
    rows = {row.layer: row for row, _ in made}
    used = {name for row in rows.values() for name in row.sources}
    return Mapped(
        layers=tuple(layer for _, layer in made),
        rows=tuple(rows.values()),
        new=tuple(name for name in facts if name not in rows),
        unused=tuple(layer.name for layer in source if layer.arrays and layer.name not in used),
    )


@dataclass(frozen=True)
class _Surgeon:
    """Makes the layers of the detection net, one convolution after the other."""

    source: Mapping[str, LayerArrays]
    windows: Mapping[str, Sequence[int]]
    norms_there: Mapping[str, Norm]
    norms_here: Mapping[str, Norm]
    facts: Mapping[str, LayerFacts]

    def make(self, target: str, origin: str) -> Iterator[tuple[Row, LayerArrays]]:
        """Yields a convolution, and its normalisation where the detection net has one."""
        before, after = self.norms_there.get(origin), self.norms_here.get(target)
        # Somebody may have merged the file's BatchNorms before.
        if before is not None and before.batch_norm not in self.source:
            before = None
        if after is None and before is not None:
            yield self._folded(target, origin, before)
            return
        yield self._one(target, origin)
        if after is not None:
            yield from self._norm(target, origin, before, after)

    def _folded(self, target: str, origin: str, norm: Norm) -> tuple[Row, LayerArrays]:
        sources = tuple(name for name in (origin, norm.batch_norm, norm.scale) if name)
        scale = self.source[norm.scale] if norm.scale else None
        affine = affine_of(self.source[norm.batch_norm], scale, eps=norm.eps)
        arrays = fold(self.source[origin].arrays, affine)
        return Row(target, sources, FOLDED), self._fitted(target, origin, arrays)

    def _one(self, target: str, origin: str) -> tuple[Row, LayerArrays]:
        arrays = self.source[origin].arrays
        shapes = [blob.shape for blob in self._facts(target).blobs]
        if target in self.windows and len(arrays) == len(shapes) and arrays[0].size != math.prod(shapes[0]):
            thinned = _thin(target, arrays, self.windows[target], shapes)
            return Row(target, (origin,), CONVERTED), self._fitted(target, origin, thinned)
        return Row(target, (origin,), COPIED), self._fitted(target, origin, arrays)

    def _norm(
        self, target: str, origin: str, before: Norm | None, after: Norm
    ) -> Iterator[tuple[Row, LayerArrays]]:
        if before is None or bool(before.scale) != bool(after.scale):
            raise WeightsError(
                f"layer '{target}' is normalised by '{after.batch_norm}' in the net, but the file has no such"
                f" layers behind '{origin}'; use a file whose BatchNorm is not merged, or the net without"
                " BatchNorm"
            )
        row, layer = self._one(after.batch_norm, before.batch_norm)
        yield row, _with_eps(layer, before.eps, after.eps)
        if after.scale:
            yield self._one(after.scale, before.scale)

    def _fitted(self, target: str, origin: str, arrays: Sequence[Array]) -> LayerArrays:
        facts = self._facts(target)
        found = [array.shape for array in arrays]
        wanted = [blob.shape for blob in facts.blobs]
        if [_without_ones(shape) for shape in found] != [_without_ones(shape) for shape in wanted]:
            raise WeightsError(
                f"layer '{target}' of the net has blobs {_listed(wanted)}; '{origin}' of the file gives"
                f" {_listed(found)}: the nets differ in width or in biases; choose the net's variables to"
                " match the file (--set), or a file of the other width"
            )
        message = facts.node.layer
        fitted = tuple(array.reshape(shape) for array, shape in zip(arrays, wanted, strict=True))
        return LayerArrays(message.name, message.type, tuple(message.bottom), tuple(message.top), fitted)

    def _facts(self, name: str) -> LayerFacts:
        if name not in self.facts:
            raise WeightsError(
                f"the net has no layer '{name}', which its backbone should have; name the net that it was"
                " rendered from, or render it again"
            )
        return self.facts[name]


def _find_norm(graph: Graph, node: Node) -> Norm | None:
    """Returns the BatchNorm and Scale behind a layer; slices that only cut off margins may stand between."""
    for reader in graph.readers(node.tops[0]):
        if reader.layer.type == "BatchNorm":
            behind = next((each for each in graph.readers(reader.tops[0])), None)
            scale = behind.name if behind is not None and behind.layer.type == "Scale" else ""
            return Norm(batch_norm=reader.name, scale=scale, eps=reader.layer.batch_norm_param.eps)
        if reader.layer.type == "Slice":
            for top in reader.tops:
                inner = _find_norm(graph, Node(reader.index, reader.layer, reader.bottoms, (top,)))
                if inner is not None:
                    return inner
    return None


def _with_eps(layer: LayerArrays, before: float, after: float) -> LayerArrays:
    """Returns a BatchNorm that does with its net's eps what it did with another."""
    if before == after:
        return layer
    means, variances, weight = layer.arrays
    moved = np.maximum(variances + (before - after) * weight.reshape(-1), 0).astype(np.float32)
    return replace(layer, arrays=(means, moved, weight))


def _thin(
    target: str, arrays: Sequence[Array], window: Sequence[int], shapes: Sequence[Sequence[int]]
) -> tuple[Array, ...]:
    weight, *biases = arrays
    per_output = math.prod(window)
    wanted = shapes[0]
    full = (weight.size // per_output, *window)
    if (
        weight.size % per_output
        or len(wanted) != len(full)
        or any(have < want for have, want in zip(full, wanted, strict=True))
    ):
        raise WeightsError(
            f"layer '{target}': the file's weights are {describe(weight.shape)}, which is no whole number of"
            f" {describe(tuple(window))}; expected those of the net that the backbone is made from"
        )
    thinned = [decimate(weight.reshape(full), wanted)]
    for bias, shape in zip(biases, shapes[1:], strict=True):
        thinned.append(decimate(bias.reshape(-1), shape))
    return tuple(thinned)


def _without_ones(shape: Sequence[int]) -> tuple[int, ...]:
    """Returns a shape without leading ones, which legacy files add to biases."""
    dims = list(shape)
    while len(dims) > 1 and dims[0] == 1:
        dims.pop(0)
    return tuple(dims)


def _listed(shapes: Sequence[Sequence[int]]) -> str:
    return " and ".join(describe(tuple(shape)) for shape in shapes) or "none"
