"""BatchNorm, Scale and Bias layers folded into the weighted layers next to them, on nets and arrays.

A layer is folded into the weighted layer behind whose only top it stands, and otherwise into the one that
alone reads its top. The one rule to know: only what leaves every output of the net as it is, but for
rounding, is folded; everything else stays, with the reason in a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from caffeflow.errors import WeightsError
from caffeflow.proto.binary import Array, LayerArrays
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.graph import Graph, Node, Value, build_graph
from caffeflow.weights.foldable import (
    AFFINE,
    WEIGHTED,
    Side,
    Unfoldable,
    affine_map,
    check_channels,
    check_no_padding,
    layout_of,
)
from caffeflow.weights.surgery import Affine, fold_after, fold_before


@dataclass(frozen=True, kw_only=True)
class FoldRow:
    """What became of one BatchNorm, Scale or Bias layer.

    Attributes:
        layer: Its name.
        type: Its type.
        into: The layer that it went into; empty if it stays.
        side: Whether it stood before or after that one; None if it stays.
        reason: Why it stays; empty if it went.
    """

    layer: str
    type: str
    into: str = ""
    side: Side | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Folded:
    """A folded net.

    Attributes:
        net: Without the layers that went into others.
        layers: Its weights, in its order; of layers that the file has.
        rows: One for each BatchNorm, Scale and Bias that the net had, in its order.
    """

    net: NetParameter
    layers: tuple[LayerArrays, ...]
    rows: tuple[FoldRow, ...]


def fold_net(net: NetParameter, layers: Sequence[LayerArrays]) -> Folded:
    """Folds what can be folded.

    Args:
        net: The net, of one phase (TEST, in which BatchNorm uses stored statistics); it is not changed.
        layers: Its weights; layers of the file that the net has not are left out.

    Raises:
        WeightsError: Layers that are to be folded are not in the file, or do not fit.
        NetError: The net is one that Caffe would refuse.
    """
    work = _Work(net, layers)
    for plan_of in (work.plan_after, work.plan_before):
        while (plan := work.find_first(plan_of)) is not None:
            work.apply(plan)
    rows = work.folded | {node.name: work.why_it_stays(node) for node in work.affine_nodes()}
    names = [layer.name for layer in net.layer if layer.name in rows]
    return Folded(net=work.net, layers=work.layers(), rows=tuple(rows[name] for name in names))


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What to do next: `gone` go into the layer `into`, whose blobs become `arrays`."""

    gone: tuple[Node, ...]
    into: Node
    side: Side
    arrays: tuple[Array, ...]


class _Work:
    """The net and its arrays while layers go, one run of neighbours after the other."""

    def __init__(self, net: NetParameter, layers: Sequence[LayerArrays]) -> None:
        self.net = NetParameter()
        self.net.CopyFrom(net)
        self.folded: dict[str, FoldRow] = {}
        self._arrays: dict[str, tuple[Array, ...]] = {}
        for layer in layers:
            self._arrays.setdefault(layer.name, layer.arrays)
        self._uses = Counter(name for layer in net.layer for name in {p.name for p in layer.param if p.name})
        self._names = Counter(layer.name for layer in net.layer)
        self._link()
        self._check_all_there()

    def affine_nodes(self) -> list[Node]:
        """Returns the BatchNorm, Scale and Bias layers that are there."""
        return [node for node in self._graph.nodes if node.layer.type in AFFINE]

    def find_first(self, plan_of: Callable[[Node], _Plan]) -> _Plan | None:
        """Returns the first thing that can be done."""
        for node in self.affine_nodes():
            try:
                return plan_of(node)
            except Unfoldable:
                continue
        return None

    def plan_after(self, node: Node) -> _Plan:
        """Returns how a layer, and those like it behind it, go into the weighted layer before them."""
        into = self._maker(node.bottoms[0])
        if into.layer.type not in WEIGHTED:
            raise Unfoldable("stands behind no layer with weights")
        self._check_single(into)
        if self._reader(into.tops[0]) is not node:
            raise Unfoldable(f"what '{into.name}' makes is read by others as well")
        layout = layout_of(into.layer, self._arrays[into.name])
        gone, affine = self._run(node)
        check_channels(into.layer, affine, layout.outputs)
        arrays = fold_after(self._arrays[into.name], affine, layout)
        return _Plan(gone=gone, into=into, side="after", arrays=self._needed(into, arrays))

    def plan_before(self, node: Node) -> _Plan:
        """Returns how a layer, and those like it behind it, go into the weighted layer that follows."""
        gone, affine = self._run(node)
        into = self._reader(gone[-1].tops[0])
        if into is None or into.layer.type not in WEIGHTED:
            raise Unfoldable("no layer with weights alone reads what it makes")
        self._check_single(into)
        layout = layout_of(into.layer, self._arrays[into.name], channels=affine.factor.size)
        check_channels(into.layer, affine, layout.inputs)
        check_no_padding(into.layer, affine)
        arrays = fold_before(self._arrays[into.name], affine, layout)
        return _Plan(gone=gone, into=into, side="before", arrays=self._needed(into, arrays))

    def apply(self, plan: _Plan) -> None:
        """Changes net and arrays."""
        self._arrays[plan.into.name] = plan.arrays
        _give_bias(self.net.layer[plan.into.index], has_bias=len(plan.arrays) > 1)
        outputs = {value.blob for value in self._graph.outputs}
        for node in plan.gone:
            _bypass(self.net, node.layer, outputs)
            self.folded[node.name] = FoldRow(
                layer=node.name, type=node.layer.type, into=plan.into.name, side=plan.side
            )
        for node in reversed(plan.gone):
            del self.net.layer[node.index]
        self._link()

    def why_it_stays(self, node: Node) -> FoldRow:
        """Returns the row of a layer that neither side can take."""
        reasons = []
        for plan_of in (self.plan_after, self.plan_before):
            try:
                plan_of(node)
            except Unfoldable as reason:
                reasons.append(str(reason))
        unique = "; ".join(dict.fromkeys(reasons))
        return FoldRow(layer=node.name, type=node.layer.type, reason=unique)

    def layers(self) -> tuple[LayerArrays, ...]:
        """Returns the weights of the layers that are there, the first of each name."""
        first: dict[str, LayerArrays] = {}
        for layer in self.net.layer:
            if layer.name in self._arrays and layer.name not in first:
                first[layer.name] = LayerArrays(
                    layer.name, layer.type, tuple(layer.bottom), tuple(layer.top), self._arrays[layer.name]
                )
        return tuple(first.values())

    def _link(self) -> None:
        self._graph: Graph = build_graph(self.net)
        self._makers: dict[Value, Node] = {}
        self._readers: dict[Value, list[Node]] = {}
        for node in self._graph.nodes:
            self._makers.update(dict.fromkeys(node.tops, node))
            for value in dict.fromkeys(node.bottoms):
                self._readers.setdefault(value, []).append(node)

    def _check_all_there(self) -> None:
        wanted = [node for node in self._graph.nodes if node.layer.type in (*AFFINE, *WEIGHTED)]
        missing = [node.name for node in wanted if not self._arrays.get(node.name) and len(node.bottoms) == 1]
        if missing:
            raise WeightsError(
                f"the weights have nothing for layer '{missing[0]}' ({len(missing)} of {len(wanted)} layers"
                " are missing); give those of this net, or see what fits: caffeflow weights diff FILE NET"
            )

    def _run(self, node: Node) -> tuple[tuple[Node, ...], Affine]:
        """Returns a layer with those like it that directly follow, and what they do together."""
        gone, affine = [node], self._affine(node)
        while (following := self._reader(gone[-1].tops[0])) is not None:
            try:
                affine = affine.then(self._affine(following))
            except Unfoldable:
                break
            gone.append(following)
        return tuple(gone), affine

    def _affine(self, node: Node) -> Affine:
        if node.layer.type not in AFFINE:
            raise Unfoldable(f"'{node.name}' is no BatchNorm, Scale or Bias")
        affine = affine_map(node.layer, self._arrays.get(node.name, ()), phase=self._graph.phase_of(node))
        self._check_single(node)
        return affine

    def _check_single(self, node: Node) -> None:
        """Raises Unfoldable where a layer has more to do than what it makes of its one bottom."""
        layer = node.layer
        if len(node.bottoms) != 1 or len(node.tops) != 1 or any(layer.loss_weight):
            raise Unfoldable(f"'{node.name}' has several bottoms or tops, or a loss")
        shared = [param.name for param in layer.param if self._uses[param.name] > 1]
        if shared:
            raise Unfoldable(f"'{node.name}' shares its param '{shared[0]}' with another layer")
        if self._names[node.name] > 1:
            raise Unfoldable(f"several layers are named '{node.name}'")

    def _needed(self, into: Node, arrays: tuple[Array, Array]) -> tuple[Array, ...]:
        """Returns the arrays without a bias that is new and zero."""
        return arrays if len(self._arrays[into.name]) > 1 or arrays[1].any() else arrays[:1]

    def _maker(self, value: Value) -> Node:
        """Returns the layer that makes a value, past slices that cut off what nobody looks at."""
        maker = self._makers[value]
        while self._kept_part(maker) == value:
            value = maker.bottoms[0]
            maker = self._makers[value]
        return maker

    def _reader(self, value: Value) -> Node | None:
        """Returns the only layer that reads a value, past such slices; None if there are several or none."""
        readers = self._readers.get(value, [])
        if len(readers) != 1:
            return None
        part = self._kept_part(readers[0])
        return readers[0] if part is None else self._reader(part)

    def _kept_part(self, node: Node) -> Value | None:
        """Returns the one top that matters of a Slice along a spatial axis whose others are silenced."""
        param = node.layer.slice_param
        if node.layer.type != "Slice" or param.HasField("slice_dim") or param.axis < 2:
            return None
        kept = [top for top in node.tops if not self._is_silenced(top)]
        return kept[0] if len(kept) == 1 else None

    def _is_silenced(self, value: Value) -> bool:
        readers = self._readers.get(value, [])
        return bool(readers) and all(reader.layer.type == "Silence" for reader in readers)


def _give_bias(layer: LayerParameter, *, has_bias: bool) -> None:
    param = layer.inner_product_param if layer.type == "InnerProduct" else layer.convolution_param
    if not has_bias or param.bias_term:
        return
    param.ClearField("bias_term")  # true unless written
    if len(layer.param) == 1:
        layer.param.add(lr_mult=layer.param[0].lr_mult, decay_mult=0)


def _bypass(net: NetParameter, gone: LayerParameter, outputs: set[str]) -> None:
    """Joins what a layer read to what read it; the names of the net's outputs stay."""
    old, new = gone.top[0], gone.bottom[0]
    if old in outputs:
        old, new = new, old
    for layer in net.layer:
        for names in (layer.bottom, layer.top):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new
