"""Names that tools behind Caffe can go by: every layer has its own, and its top has the layer's.

Compilers and importers look results up by one name for both. Weights are found by layer name, so
only blobs are renamed, and layers without weights where two have one name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from caffeflow.errors import NetError
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.graph import build_graph


def with_plain_names(net: NetParameter, *, learned: Collection[str]) -> NetParameter:
    """Returns the net with each top that one layer alone makes called as the layer.

    In-place layers keep the blob that they work on; of a layer with several tops, one gets the layer's
    name in front where it stands in the way.

    Args:
        net: The net.
        learned: The layers that have weights.

    Raises:
        NetError: Two layers with weights have one name.
    """
    made = NetParameter()
    made.CopyFrom(net)
    made.ClearField("layer")
    for layer in net.layer:
        made.layer.extend(_single_inputs(layer))
    _part_names(made, learned)
    names = _blob_names(made)
    for layer in made.layer:
        layer.bottom[:] = [names[blob] for blob in layer.bottom]
        layer.top[:] = [names[blob] for blob in layer.top]
    build_graph(made)
    return made


def misnamed(net: NetParameter) -> list[str]:
    """Returns the layers whose only top, not in place, is called otherwise."""
    return [
        layer.name
        for layer in net.layer
        if len(layer.top) == 1 and layer.top[0] not in layer.bottom and layer.top[0] != layer.name
    ]


def _single_inputs(layer: LayerParameter) -> list[LayerParameter]:
    """Returns an Input for each top, called as the top; any other layer as it is."""
    if layer.type != "Input":
        return [layer]
    made = []
    for place, top in enumerate(layer.top):
        one = LayerParameter(name=top, type="Input", top=[top])
        shapes = layer.input_param.shape
        one.input_param.shape.append(shapes[place if len(shapes) > 1 else 0])
        made.append(one)
    return made


def _part_names(net: NetParameter, learned: Collection[str]) -> None:
    """Renames layers until no two have one name."""
    taken = {layer.name for layer in net.layer}
    seen: Counter[str] = Counter()
    for layer in net.layer:
        name = layer.name
        seen[name] += 1
        if seen[name] == 1:
            continue
        if name in learned:
            raise NetError(
                "two layers have this name, and weights go by layer name; rename one of them", layer=name
            )
        number = seen[name]
        while f"{name}_{number}" in taken:
            number += 1
        layer.name = f"{name}_{number}"
        taken.add(layer.name)


def _blob_names(net: NetParameter) -> dict[str, str]:
    """Returns what each blob is called from now on."""
    makers = [layer for layer in net.layer if any(top not in layer.bottom for top in layer.top)]
    names = {layer.top[0]: layer.name for layer in makers if len(layer.top) == 1}
    taken = set(names.values())
    for layer in makers:
        for top in layer.top if len(layer.top) > 1 else ():
            new = top
            while new in taken:
                new = f"{layer.name}/{new}"
            names.setdefault(top, new)
            taken.add(new)
    return names
