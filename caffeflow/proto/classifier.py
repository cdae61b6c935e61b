"""The classifier of a net: the last layers that learn before the scores, found and begun anew.

Weights go from net to net by layer name (Caffe's copy by name). So a layer that shall not take them gets
another name, and with it its top and all that reads that top: chip compilers want names equal to tops.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from caffeflow.errors import NetError, suggestion
from caffeflow.proto.caffe_pb2 import FillerParameter, LayerParameter, NetParameter
from caffeflow.proto.graph import Graph, Node, Value

# Layer types that say how many outputs they have, and where.
_SIZED: Final = {
    "Convolution": "convolution_param",
    "Deconvolution": "convolution_param",
    "InnerProduct": "inner_product_param",
}
# Others that learn: between classifier and loss, their blobs have the size of the number of classes.
_LEARNED: Final = frozenset(
    {"BatchNorm", "Scale", "Bias", "PReLU", "Normalize", "Embed", "LSTM", "RNN", "Parameter"}
    | {"DepthwiseConvolution", "ConvolutionDepthwise"}
)
_WEIGHT_STD: Final = 0.01  # of the gaussian, as in BVLC's fine-tuning example


@dataclass(frozen=True, kw_only=True)
class NewLayer:
    """How a classifier begins.

    Attributes:
        name: What is put behind the names of layer and top, after an underscore.
        num_output: How many classes.
        lr_mult: Of the weights; twice of it for the bias.
    """

    name: str
    num_output: int
    lr_mult: float = 10.0


@dataclass(frozen=True)
class _Head:
    """A loss, what its scores come from, and what its labels are."""

    loss: str
    layers: tuple[Node, ...]
    label: str


def find_classifiers(graph: Graph) -> tuple[str, ...]:
    """Returns the layers that make the scores of the losses: one, or one for each auxiliary loss.

    Args:
        graph: The net in its TRAIN phase.

    Raises:
        NetError: There is no loss, the last layer that learns has no number of outputs, or there are
            several candidates: two for one loss, or losses of other labels or other numbers of classes.
    """
    heads = list(_heads(graph))
    if not heads:
        raise NetError(
            "has no loss layer, which would tell the classifier; say which layer it is with --layer NAME"
        )
    for head in heads:
        _check_last(head)
    found = {node.name: node for head in heads for node in head.layers}
    kinds = {(head.label, _num_output(node.layer)) for head in heads for node in head.layers}
    if len(kinds) > 1 or any(len(head.layers) != 1 for head in heads):
        listed = ", ".join(f"'{name}' ({_num_output(node.layer)} outputs)" for name, node in found.items())
        raise NetError(
            f"{len(found)} layers could be the classifier: {listed}; choose with --layer NAME, which may be"
            " repeated"
        )
    return tuple(found)


def check_layers(net: NetParameter, names: Sequence[str]) -> None:
    """Checks that layers of these names can be begun anew.

    Raises:
        NetError: There is no such layer, or it learns nothing.
    """
    known = {layer.name: layer for layer in net.layer}
    for name in names:
        if name not in known:
            near = suggestion(name, known) or f"; its last ones are {', '.join(list(known)[-5:])}"
            raise NetError(f"has no layer '{name}' (--layer){near}")
        kind = known[name].type
        if kind not in _SIZED and kind not in _LEARNED:
            raise NetError(
                f"is of type {kind}, which learns nothing; name a {' or '.join(_SIZED)} layer with --layer",
                layer=name,
            )


def begin_anew(net: NetParameter, names: Sequence[str], new: NewLayer) -> dict[str, str]:
    """Renames layers, their tops and all that reads them, and gives them size, fillers and multipliers.

    Args:
        net: The net with the layers of all phases; changed.
        names: The layers; those that the net does not have are passed over.
        new: How they begin.

    Returns:
        Old layer name to new one, for those that were there.

    Raises:
        NetError: A new name is taken already.
    """
    chosen = [layer for layer in net.layer if layer.name in names]
    renamed = {layer.name: _renamed(layer.name, new) for layer in chosen}
    blobs = {
        top: _renamed(top, new)
        for layer in chosen
        for top in layer.top
        if top not in layer.bottom  # a top in place is the blob of another layer
    }
    _check_free(net, renamed, blobs)
    for layer in net.layer:
        for field in (layer.bottom, layer.top):
            field[:] = [blobs.get(blob, blob) for blob in field]
    for layer in chosen:
        layer.name = renamed[layer.name]
        layer.ClearField("blobs")
        if layer.type in _SIZED:
            _resize(layer, new)
    return renamed


def drop_idle_accuracies(net: NetParameter, num_output: int) -> list[str]:
    """Removes accuracies among more best scores than there are classes; returns their names.

    Caffe dies of those (accuracy_layer.cpp), and with as many they are always 1.
    """
    idle = [
        layer.name
        for layer in net.layer
        if layer.type == "Accuracy" and layer.accuracy_param.top_k >= max(num_output, 2)
    ]
    kept = [layer for layer in net.layer if layer.name not in idle or layer.type != "Accuracy"]
    if idle:
        net.ClearField("layer")
        net.layer.extend(kept)
    return idle


def is_loss(layer: LayerParameter) -> bool:
    """Whether a layer compares scores with labels, to learn from."""
    return layer.type.endswith("Loss")


def _heads(graph: Graph) -> Iterator[_Head]:
    makers = {top: node for node in graph.nodes for top in node.tops}
    for node in graph.nodes:
        if is_loss(node.layer) and node.bottoms:
            label = node.bottoms[1].blob if len(node.bottoms) > 1 else ""
            yield _Head(node.name, tuple(_last_learned(makers, node.bottoms[0])), label)


def _last_learned(makers: Mapping[Value, Node], scores: Value) -> Iterator[Node]:
    """Yields the nearest layers that learn, going up from a value."""
    waiting, seen = [scores], set[Value]()
    while waiting:
        value = waiting.pop()
        if value in seen or value not in makers:
            continue
        seen.add(value)
        node = makers[value]
        if node.layer.type in _SIZED or node.layer.type in _LEARNED:
            yield node
        else:
            waiting += node.bottoms


def _check_last(head: _Head) -> None:
    if not head.layers:
        raise NetError(
            "no layer that learns leads to it; say with --layer NAME which is the classifier", layer=head.loss
        )
    for node in head.layers:
        if node.layer.type not in _SIZED:
            raise NetError(
                f"learns ({node.layer.type}) behind the classifier, so the classifier is not the last layer"
                f" before '{head.loss}'; name both with --layer, for both are begun anew",
                layer=node.name,
            )


def _check_free(net: NetParameter, renamed: Mapping[str, str], blobs: Mapping[str, str]) -> None:
    layers = {layer.name for layer in net.layer}
    made = {top for layer in net.layer for top in layer.top}
    taken = [name for name in renamed.values() if name in layers] + [
        name for name in blobs.values() if name in made
    ]
    if taken:
        raise NetError(f"'{taken[0]}' is there already; choose another --name")


def _renamed(name: str, new: NewLayer) -> str:
    return f"{name}_{new.name}"


def _resize(layer: LayerParameter, new: NewLayer) -> None:
    params: Any = getattr(layer, _SIZED[layer.type])
    params.num_output = new.num_output
    params.weight_filler.CopyFrom(FillerParameter(type="gaussian", std=_WEIGHT_STD))
    names = [spec.name for spec in layer.param]
    layer.ClearField("param")
    layer.param.add(lr_mult=new.lr_mult, decay_mult=1)
    if params.bias_term:
        params.bias_filler.CopyFrom(FillerParameter(type="constant", value=0))
        layer.param.add(lr_mult=2 * new.lr_mult, decay_mult=0)
    for spec, name in zip(layer.param, names, strict=False):
        if name:  # layers that share these blobs are renamed with --layer too, or share them no more
            spec.name = _renamed(name, new)


def _num_output(layer: LayerParameter) -> int:
    return int(getattr(layer, _SIZED[layer.type]).num_output)
