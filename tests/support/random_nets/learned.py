"""Layers that learn by products: inner products and convolutions, with learned blobs that layers share.

Weights are xavier's, so that a layer neither grows nor shrinks what flows through it.
"""

from __future__ import annotations

from typing import Any, Final

from caffeflow.proto.caffe_pb2 import LayerParameter
from tests.support.random_nets.blobs import DrawnBlob
from tests.support.random_nets.recipes import grows
from tests.support.random_nets.sketch import NothingFits, Sketch

_FILLERS: Final = 'weight_filler { type: "xavier" } bias_filler { type: "uniform" min: -0.3 max: 0.3 }'


def param_specs(sketch: Sketch, name: str, blobs: int) -> str:
    """Returns the `param`s of a layer: none, multipliers (a frozen blob among them), or names to share by."""
    kind = sketch.choose("none", "multipliers", "names", "names")
    if kind == "none":
        return ""
    if kind == "multipliers":
        return " ".join(
            f"param {{ lr_mult: {sketch.choose(0, 1, 1, 2)} decay_mult: {sketch.choose(0, 1)} }}"
            for _ in range(blobs)
        )
    return " ".join(f'param {{ name: "{name}_{place}" }}' for place in range(blobs))


def _add_learning(
    sketch: Sketch, kind: str, bottoms: list[DrawnBlob], settings: str, *, bias: bool, tops: int = 1
) -> None:
    """Adds a layer with weights and maybe a bias, and remembers it where others may share its blobs."""
    text = f"{settings} {param_specs(sketch, f'shared{len(sketch.layers)}', 1 + bias)}"
    if len(bottoms) == 1 and sketch.chance(0.08):
        text += " propagate_down: " + sketch.choose("false", "true")
    sketch.add(kind, bottoms, text, tops=tops, **_facts(bottoms))
    layer = sketch.layers[-1]
    if layer.param and layer.param[0].name and len(bottoms) == 1:
        sketch.shareable.append((layer, bottoms[0].shape))


def _facts(bottoms: list[DrawnBlob]) -> dict[str, Any]:
    size = max(bottom.size for bottom in bottoms)
    return {
        "size": size + 0.3,
        "free": True,
        "varied": not any(bottom.constant for bottom in bottoms),
        "centred": False,
    }


@grows("InnerProduct", often=4)
def inner_product(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes >= 2 and blob.count // blob.shape[0] <= 800, counted=True)
    axis = int(sketch.random.integers(1, bottom.axes))
    bias = sketch.chance(0.8)
    settings = [f"num_output: {sketch.choose(2, 3, 5, 7, 11)}", _FILLERS]
    settings += ["transpose: true"] if sketch.chance(0.3) else []
    settings += [] if bias else ["bias_term: false"]
    settings += [f"axis: {axis}"] if axis > 1 else []
    _add_learning(
        sketch, "InnerProduct", [bottom], f"inner_product_param {{ {' '.join(settings)} }}", bias=bias
    )


@grows("InnerProduct that shares", often=4)
def shared(sketch: Sketch) -> None:
    """Reads another blob of the same shape with the learned blobs of an earlier layer of any kind."""
    if not sketch.shareable:
        raise NothingFits
    owner, shape = sketch.choose(*sketch.shareable)
    bottom = sketch.pick(lambda blob: blob.shape == shape and not blob.counted)
    sharer = LayerParameter()
    sharer.CopyFrom(owner)
    for link in ("name", "type", "bottom", "top", "propagate_down"):
        sharer.ClearField(link)
    if owner.type == "InnerProduct" and sketch.chance(0.7):
        sharer.inner_product_param.transpose = not owner.inner_product_param.transpose
        sharer.param[0].share_mode = sharer.param[0].PERMISSIVE
    sketch.add(owner.type, [bottom], str(sharer), **_facts([bottom]))


def _window(sketch: Sketch, sizes: tuple[int, ...]) -> tuple[str, ...] | str:
    """Returns the fields of a window that fits into images of these sizes."""
    each = [_axis_window(sketch, size) for size in sizes]
    if len(sizes) == 2 and sketch.chance(0.4):
        (kernel_h, stride_h, pad_h, _), (kernel_w, stride_w, pad_w, _) = each
        return (
            f"kernel_h: {kernel_h} kernel_w: {kernel_w} stride_h: {stride_h} stride_w: {stride_w}"
            f" pad_h: {pad_h} pad_w: {pad_w}"
        )
    names = ("kernel_size", "stride", "pad", "dilation")
    return " ".join(f"{name}: {axis[place]}" for place, name in enumerate(names) for axis in each)


def _axis_window(sketch: Sketch, size: int) -> tuple[int, int, int, int]:
    kernel = int(sketch.choose(*range(1, min(size, 4) + 1)))
    dilation = int(sketch.choose(1, 2)) if 2 * (kernel - 1) + 1 <= size else 1
    return kernel, int(sketch.choose(1, 1, 2)), int(sketch.random.integers(0, kernel)), dilation


def _convolution_settings(sketch: Sketch, bottom: DrawnBlob, outputs: int) -> tuple[str, bool]:
    bias = sketch.chance(0.7)
    channels = bottom.shape[1]
    groups = [group for group in (1, 1, 2, 3, channels) if channels % group == 0]
    group = int(sketch.choose(*groups))
    settings = [f"num_output: {outputs * group}", str(_window(sketch, bottom.shape[2:])), _FILLERS]
    settings += [f"group: {group}"] if group > 1 else []
    settings += [] if bias else ["bias_term: false"]
    return f"convolution_param {{ {' '.join(settings)} }}", bias


def _is_image(blob: DrawnBlob) -> bool:
    return 3 <= blob.axes <= 5 and blob.shape[1] <= 30


@grows("Convolution", often=4)
def convolution(sketch: Sketch) -> None:
    bottom = sketch.pick(_is_image)
    bottoms = [bottom]
    if sketch.chance(0.15):
        bottoms.append(sketch.pick(lambda blob: blob.shape == bottom.shape))
    settings, bias = _convolution_settings(sketch, bottom, int(sketch.choose(1, 2, 3, 5)))
    _add_learning(sketch, "Convolution", bottoms, settings, bias=bias, tops=len(bottoms))


@grows("Deconvolution")
def deconvolution(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: _is_image(blob) and all(size <= 13 for size in blob.shape[2:]))
    if any(size < 3 for size in bottom.shape[2:]):  # pads could leave nothing
        raise NothingFits
    settings, bias = _convolution_settings(sketch, bottom, int(sketch.choose(1, 2, 3)))
    _add_learning(sketch, "Deconvolution", [bottom], settings, bias=bias)


@grows("Im2col")
def im2col(sketch: Sketch) -> None:
    bottom = sketch.pick(lambda blob: blob.axes == 4 and blob.count <= 600)
    sketch.add("Im2col", [bottom], f"convolution_param {{ {_window(sketch, bottom.shape[2:])} }}", free=True)


@grows("Embed", forced=False)
def embed(sketch: Sketch) -> None:
    rows, inputs = int(sketch.choose(2, 3, 5)), int(sketch.choose(3, 7, 11))
    shape = (rows, int(sketch.choose(2, 3))) if sketch.chance(0.5) else (rows,)
    index = sketch.add_input(shape, sketch.random.integers(0, inputs, shape), varied=False)
    outputs = sketch.choose(3, 5, 7)
    text = f"embed_param {{ input_dim: {inputs} num_output: {outputs} {_FILLERS} }}"
    sketch.add("Embed", [index], text, size=1.0, varied=False, free=True)
