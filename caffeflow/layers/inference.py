"""Shapes of a whole net: walks the graph once and collects what each layer takes, makes, learns and costs.

The one rule: whatever a family's code refuses comes out as a NetError that names the layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from caffeflow.errors import NetError
from caffeflow.layers.data import record_source
from caffeflow.layers.spec import Blob, Count, LayerSpec, Shape, spec_for
from caffeflow.proto.blob_limits import find_excess
from caffeflow.proto.caffe_pb2 import TEST, TRAIN, LayerParameter
from caffeflow.proto.graph import Graph, Node, Value

RecordShape = Callable[[LayerParameter], Shape | list[Shape]]
"""Returns (C, H, W) of one stored record of a data layer, before cropping; of HDF5Data a row for each top."""


@dataclass(frozen=True, kw_only=True)
class LayerFacts:
    """One layer of a net with its shapes known.

    Attributes:
        params: What the spec's `read` made of the message.
        bottoms: Shapes of the bottoms.
        tops: Shapes of the tops, with those that the file leaves out (a loss without a top).
        blobs: The learned arrays in caffemodel order.
        macs: Multiply-accumulates of one forward over the whole batch.
    """

    node: Node
    spec: LayerSpec
    params: Any
    bottoms: tuple[Shape, ...]
    tops: tuple[Shape, ...]
    blobs: tuple[Blob, ...]
    macs: int

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.node.layer.name


@dataclass(frozen=True)
class NetShapes:
    """All that is known of a net without running it.

    Attributes:
        tops: The shape of every value of the graph.
        layers: The layers in file order, one for each node of the graph.
    """

    tops: Mapping[Value, Shape]
    layers: tuple[LayerFacts, ...]


def infer(graph: Graph, *, record_shape: RecordShape | None = None) -> NetShapes:
    """Returns the shapes of a net.

    Args:
        graph: The net.
        record_shape: Looks into the source of a data layer.

    Raises:
        NetError: A layer that Caffe would refuse; it names the layer.
    """
    tops: dict[Value, Shape] = {}
    layers = []
    for node in graph.nodes:
        try:
            facts = _layer_facts(node, tops, record_shape, graph.phase_of(node))
        except NetError as error:
            error.layer = error.layer or node.layer.name
            raise
        tops.update(zip(node.tops, facts.tops[: len(node.tops)], strict=True))
        layers.append(facts)
    return NetShapes(tops=MappingProxyType(tops), layers=tuple(layers))


def follow(shapes: NetShapes, fed: Mapping[Value, Shape]) -> NetShapes:
    """Returns the shapes of a net whose inputs have other shapes now.

    Args:
        shapes: As they were.
        fed: The shape of each top that comes from outside, however the file has it.

    Raises:
        NetError: A layer that Caffe would refuse; it names the layer.
    """
    known: dict[Value, Shape] = dict(fed)
    layers = []
    for old in shapes.layers:
        try:
            facts = _followed(old, known)
        except NetError as error:
            error.layer = error.layer or old.name
            raise
        known.update(zip(old.node.tops, facts.tops[: len(old.node.tops)], strict=True))
        layers.append(facts)
    return NetShapes(tops=MappingProxyType(known), layers=tuple(layers))


def _followed(old: LayerFacts, known: Mapping[Value, Shape]) -> LayerFacts:
    if old.node.tops and all(top in known for top in old.node.tops):
        return replace(old, tops=tuple(known[top] for top in old.node.tops))
    bottoms = tuple(known[value] for value in old.node.bottoms)
    if bottoms == old.bottoms and not old.spec.runs_code:
        return old
    tops = tuple(old.spec.shapes(old.params, bottoms))
    blobs = tuple(old.spec.blobs(old.params, bottoms))
    _check_sizes(tops, blobs)
    return replace(
        old,
        bottoms=bottoms,
        tops=tops,
        blobs=blobs,
        macs=old.spec.macs(old.params, bottoms, tops),
    )


def _layer_facts(
    node: Node, known: Mapping[Value, Shape], record_shape: RecordShape | None, phase: str
) -> LayerFacts:
    layer = node.layer
    spec = spec_for(layer)
    _check_counts(spec, layer)
    params = spec.read(_with_phase(layer, phase) if spec.runs_code else layer)
    bottoms = tuple(known[value] for value in node.bottoms)
    source = _look_into(layer, record_shape) if spec.reads_source else bottoms
    tops = tuple(spec.shapes(params, source))
    blobs = tuple(spec.blobs(params, bottoms))
    _check_sizes(tops, blobs)
    if len(layer.param) > len(blobs):
        raise NetError(f"too many params specified: {len(layer.param)} param for {len(blobs)} learned blobs")
    macs = spec.macs(params, bottoms, tops)
    return LayerFacts(node=node, spec=spec, params=params, bottoms=bottoms, tops=tops, blobs=blobs, macs=macs)


def _with_phase(layer: LayerParameter, phase: str) -> LayerParameter:
    """Returns a copy of a layer that says its phase, as Caffe writes it into the message."""
    copy = LayerParameter()
    copy.CopyFrom(layer)
    copy.phase = TRAIN if phase == "TRAIN" else TEST
    return copy


def _look_into(layer: LayerParameter, record_shape: RecordShape | None) -> tuple[Shape, ...]:
    if record_shape:
        found = record_shape(layer)
        return tuple(found) if isinstance(found, list) else (found,)
    source = record_source(layer)
    raise NetError(
        f"the shape of its tops is that of the records in '{source}', which were not looked at;"
        " use the deploy file, whose Input layer gives the shape"
    )


def _check_sizes(tops: tuple[Shape, ...], blobs: tuple[Blob, ...]) -> None:
    named = [(f"top {index}", top) for index, top in enumerate(tops)]
    named += [(f"its {blob.name}", blob.shape) for blob in blobs]
    for what, shape in named:
        excess = find_excess(shape)
        if excess:
            raise NetError(f"{what} {excess}")


def _check_counts(spec: LayerSpec, layer: LayerParameter) -> None:
    _check_count(spec.bottoms, len(layer.bottom), f"{spec.type} layer takes", "bottom blob(s) as input")
    if not (spec.auto_tops and not layer.top):
        _check_count(spec.tops, len(layer.top), f"{spec.type} layer produces", "top blob(s) as output")
    if spec.tops_like_bottoms and len(layer.top) != len(layer.bottom):
        found = f"found {len(layer.bottom)} bottom(s) and {len(layer.top)} top(s)"
        raise NetError(
            f"{spec.type} layer produces one top blob as output for each bottom blob input; {found}"
        )
    overwritten = [top for top, bottom in zip(layer.top, layer.bottom, strict=False) if top == bottom]
    if overwritten and not spec.may_be_in_place:
        raise NetError(
            f"{spec.type} cannot work in place, but top '{overwritten[0]}' overwrites its bottom; give the"
            " top a name of its own"
        )
    tops = len(layer.top) or int(spec.auto_tops)
    if layer.loss_weight and len(layer.loss_weight) != tops:
        raise NetError(
            f"loss_weight must be unspecified or specified once per top blob; found {len(layer.loss_weight)}"
            f" loss_weight for {tops} top(s)"
        )


def _check_count(allowed: Count, found: int, verb: str, blobs: str) -> None:
    low, high = (allowed, allowed) if isinstance(allowed, int) else allowed
    if low == high and found != low:
        raise NetError(f"{verb} {low} {blobs}; found {found}")
    if found < low:
        raise NetError(f"{verb} at least {low} {blobs}; found {found}")
    if high is not None and found > high:
        raise NetError(f"{verb} at most {high} {blobs}; found {found}")
