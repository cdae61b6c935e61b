"""`caffe.draw`: pictures of a NetParameter, without pydot and Graphviz.

The rule to know: the ending of the file name chooses. `.svg` and `.png` are drawn here, from above to
below whatever `rankdir` says; `.raw`, `.dot` and `.gv` get the text that Graphviz takes, which obeys it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caffeflow.errors import UsageError
from caffeflow.files import write_atomically
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter, NetStateRule, PoolingParameter
from caffeflow.proto.legacy import upgrade_net
from caffeflow.report.net_boxes import Kind, NetBox
from caffeflow.report.picture import net_scene
from caffeflow.report.scene import to_svg, write_scene

TEXT_ENDINGS: Final = ("raw", "dot", "gv")
_LEARNING: Final = ("Convolution", "Deconvolution", "InnerProduct")
_WITH_WINDOW: Final = ("Convolution", "Deconvolution", "Pooling")
_COLOURS: Final = {
    "Convolution": "#FF5050", "Deconvolution": "#FF5050", "Pooling": "#FF9900", "InnerProduct": "#CC33FF",
}  # fmt: skip
_DEFAULT_COLOUR: Final = "#6495ED"
_IN_PLACE_COLOUR: Final = "#90EE90"
_BLOB_COLOUR: Final = "#E0E0E0"
_NO_LABEL: Final = '""'
_KINDS: Final[dict[str, Kind]] = {
    "Convolution": "conv", "Deconvolution": "conv", "InnerProduct": "inner product", "Pooling": "pooling",
    "Eltwise": "join", "Concat": "join", "Slice": "join", "Softmax": "output", "Accuracy": "output",
}  # fmt: skip


def draw_net_to_file(
    caffe_net: NetParameter,
    filename: str,
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
) -> None:
    """Draws a net into a file.

    Args:
        caffe_net: The net.
        filename: Where; its ending says what it gets.
        rankdir: For Graphviz: LR, TB or BT.
        phase: Only the layers of TRAIN or TEST; None: all.
        display_lrm: Whether to write lr_mult into the boxes of layers that learn.

    Raises:
        UsageError: The ending is of something else than a picture or Graphviz's text.
    """
    ending = filename.rpartition(".")[2]
    picture = draw_net(caffe_net, rankdir, ending, phase, display_lrm)
    write_atomically(Path(filename), picture)


def draw_net(
    caffe_net: NetParameter,
    rankdir: str,
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
) -> bytes:
    """Returns what `draw_net_to_file` writes into a file with this ending."""
    return get_pydot_graph(caffe_net, rankdir, phase=phase, display_lrm=display_lrm).create(format=ext)


def get_pydot_graph(
    caffe_net: NetParameter,
    rankdir: str,
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
) -> NetDrawing:
    """Returns a net ready to be drawn: no pydot, but it has `to_string` and `create` likewise."""
    net = NetParameter()
    net.CopyFrom(caffe_net)
    upgrade_net(net)
    layers = [layer for layer in net.layer if phase is None or _is_included(layer, phase)]
    return NetDrawing(
        name=net.name or "Net",
        layers=layers,
        rankdir=rankdir,
        label_edges=label_edges,
        display_lrm=display_lrm,
    )


@dataclass(frozen=True, kw_only=True)
class NetDrawing:
    """Layers to be drawn, as a picture or as text for Graphviz."""

    name: str
    layers: Sequence[LayerParameter]
    rankdir: str
    label_edges: bool
    display_lrm: bool

    def to_string(self) -> str:
        """Returns the text that Graphviz takes: a node for each layer and for each blob."""
        lines = [f'digraph "{_quoted(self.name)}" {{', f"  rankdir={self.rankdir};"]
        blobs = dict.fromkeys(name for layer in self.layers for name in [*layer.bottom, *layer.top])
        lines += [
            f'  "{_quoted(blob)}_blob" [label="{_quoted(blob)}", shape=octagon, style=filled,'
            f' fillcolor="{_BLOB_COLOUR}"];'
            for blob in blobs
        ]
        for layer in self.layers:
            lines += self._node(layer)
        return "\n".join([*lines, "}", ""])

    def create(self, format: str = "svg") -> bytes:
        """Returns the picture, or Graphviz's text, by the ending that a file of it has.

        Raises:
            UsageError: The ending is of something else.
        """
        kind = format.lower()
        if kind in TEXT_ENDINGS:
            return self.to_string().encode()
        scene = net_scene(list(self._boxes()), title=self.name)
        if kind == "svg":
            return to_svg(scene).encode()
        if kind != "png":
            endings = ", ".join(f".{each}" for each in ("png", "svg", *TEXT_ENDINGS))
            raise UsageError(f"a net is drawn as {endings}; '.{format}' is none of them")
        with tempfile.TemporaryDirectory() as folder:
            write_scene(scene, Path(folder) / "net.png")
            return (Path(folder) / "net.png").read_bytes()

    def _node(self, layer: LayerParameter) -> Iterator[str]:
        node = f'"{_quoted(layer.name)}_{_quoted(layer.type)}"'
        colour = _IN_PLACE_COLOUR if _is_in_place(layer) else choose_color_by_layertype(layer.type)
        label = get_layer_label(layer, self.rankdir, display_lrm=self.display_lrm)
        yield f'  {node} [label={label}, shape=record, style=filled, fillcolor="{colour}"];'
        for blob in layer.bottom:
            yield f'  "{_quoted(blob)}_blob" -> {node};'
        edge = get_edge_label(layer) if self.label_edges else _NO_LABEL
        for blob in layer.top:
            yield f'  {node} -> "{_quoted(blob)}_blob" [label="{edge.strip(_NO_LABEL)}"];'

    def _boxes(self) -> Iterator[NetBox]:
        """Yields a box for each layer; a blob that layers of several phases make comes from all of them."""
        makers: dict[str, list[int]] = {}
        for place, layer in enumerate(self.layers):
            sources = dict.fromkeys(source for blob in layer.bottom for source in makers.get(blob, ()))
            lines = tuple(_descriptions(layer, display_lrm=self.display_lrm)[1:])
            kind = _KINDS.get(layer.type, "data" if not layer.bottom else "other")
            kind = "output" if layer.type.endswith("Loss") else kind
            yield NetBox(name=layer.name, kind=kind, lines=lines, sources=tuple(sources))
            for blob in layer.top:
                makers[blob] = [place] if blob in layer.bottom else [*makers.get(blob, ()), place]


def get_pooling_types_dict() -> dict[int, str]:
    """Returns the names of the pooling methods by their numbers."""
    return {number: name for name, number in PoolingParameter.PoolMethod.items()}


def get_edge_label(layer: LayerParameter) -> str:
    """Returns what stands at a layer's tops: the batch, or the number of outputs."""
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    if layer.type == "InnerProduct":
        return str(layer.inner_product_param.num_output)
    return _NO_LABEL


def get_layer_lr_mult(layer: LayerParameter) -> tuple[float, float]:
    """Returns lr_mult of weights and biases.

    Raises:
        ValueError: It is no layer with both, or says more.
    """
    if layer.type not in _LEARNING:
        raise ValueError(
            f"layer '{layer.name}': {layer.type} has no weights and biases whose lr_mult could be shown"
        )
    if len(layer.param) > 2:
        raise ValueError(
            f"layer '{layer.name}' has {len(layer.param)} params; expected two at most, weights and biases"
        )
    first, second = ([param.lr_mult for param in layer.param] + [1.0, 1.0])[:2]
    return first, second


def get_layer_label(layer: LayerParameter, rankdir: str, display_lrm: bool = False) -> str:
    """Returns what stands in a layer's box, in quotes for Graphviz."""
    separator = " " if rankdir in ("TB", "BT") else r"\n"
    parts = _descriptions(layer, display_lrm=display_lrm)
    return f'"{separator.join(map(_quoted, parts))}"'


def choose_color_by_layertype(layertype: str) -> str:
    """Returns the colour of a layer's box."""
    return _COLOURS.get(layertype, _DEFAULT_COLOUR)


def _descriptions(layer: LayerParameter, *, display_lrm: bool) -> list[str]:
    """Returns the parts of a layer's label, the name first."""
    parts = [layer.name, f"({layer.type})"]
    if layer.type == "Pooling":
        parts[1] = f"(Pooling {get_pooling_types_dict()[layer.pooling_param.pool]})"
    if layer.type in _WITH_WINDOW:
        kernel, stride, pad = _window(layer)
        parts += [f"kernel size: {kernel}", f"stride: {stride}", f"pad: {pad}"]
    if display_lrm and layer.type in _LEARNING:
        weights, biases = get_layer_lr_mult(layer)
        if weights or biases:
            parts.append(f"lr mult: {weights:.1f}, {biases:.1f}")
    return parts


def _window(layer: LayerParameter) -> tuple[int, int, int]:
    """Returns kernel, stride and padding, of the first axis where they differ."""
    if layer.type == "Pooling":
        pooling = layer.pooling_param
        return pooling.kernel_size or pooling.kernel_h, pooling.stride, pooling.pad or pooling.pad_h
    window = layer.convolution_param
    kernels = [*window.kernel_size, *([window.kernel_h] if window.HasField("kernel_h") else []), 1]
    strides = [*window.stride, *([window.stride_h] if window.HasField("stride_h") else []), 1]
    pads = [*window.pad, *([window.pad_h] if window.HasField("pad_h") else []), 0]
    return kernels[0], strides[0], pads[0]


def _is_in_place(layer: LayerParameter) -> bool:
    return len(layer.bottom) == len(layer.top) == 1 and layer.bottom[0] == layer.top[0]


def _is_included(layer: LayerParameter, phase: int) -> bool:
    """Tells whether a layer is drawn for a phase; stages and levels are not looked at.

    Raises:
        ValueError: It has rules of both kinds.
    """
    if layer.include and layer.exclude:
        raise ValueError(
            f"layer '{layer.name}' has rules of both kinds, include and exclude; keep one of them"
        )
    if layer.include:
        return any(_is_met(rule, phase, default=True) for rule in layer.include)
    return not any(_is_met(rule, phase, default=False) for rule in layer.exclude)


def _is_met(rule: NetStateRule, phase: int, *, default: bool) -> bool:
    return rule.phase == phase if rule.HasField("phase") else default


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
