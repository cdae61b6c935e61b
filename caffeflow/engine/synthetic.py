"""Made-up batches for nets whose data is not there: for timing, for calibration, for comparisons.

The one rule to know: pixels are in 0 to 255 before a layer's mean and scale, with large patches and fine
grain, so that images differ from each other after pooling too; labels are classes that the net has, whole
numbers that a layer looks things up by are such as it knows, and where boxes are read every image has some,
all of the first class.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from caffeflow.engine.net import Net, NetLayer
from caffeflow.layers.params import canonical_axis, count
from caffeflow.layers.spec import Shape
from caffeflow.proto.caffe_pb2 import TransformationParameter
from caffeflow.proto.graph import Value

_WITH_LABELS = ("Data", "ImageData", "MemoryData", "WindowData")
_READ_LABELS = ("SoftmaxWithLoss", "Accuracy", "InfogainLoss")
_READ_ROW_LABELS = ("HingeLoss", "MultinomialLogisticLoss")
_PATCHES = 5  # patches along a side
_GRAIN = 0.35  # share of the range that changes from pixel to pixel
_MEAN_OF_IMAGES = 118.0  # what a mean file of photographs would hold
_BOXES = 3  # in an image
_SIDES = (0.2, 0.6)  # of a box, as shares of the image


def synthetic_feeds(net: Net, *, seed: int) -> dict[str, tuple[Tensor, ...]]:
    """Returns tops for every layer of a net that is fed from outside."""
    generator = torch.Generator().manual_seed(seed)
    return {
        layer.name: tuple(
            _make_top(net, layer, value, shape, generator)
            for value, shape in zip(layer.facts.node.tops, layer.facts.tops, strict=False)
        )
        for layer in net.fed
    }


def synthetic_images(shape: Shape, generator: torch.Generator) -> Tensor:
    """Returns pixels from 0 to 255; shapes other than (N, C, H, W) get noise alone."""
    grain = torch.rand(shape, generator=generator)
    if len(shape) != 4:
        return grain * 255
    coarse = torch.rand((*shape[:2], _PATCHES, _PATCHES), generator=generator)
    patches = functional.interpolate(coarse, size=shape[2:], mode="bilinear", align_corners=False)
    return (patches * (1 - _GRAIN) + grain * _GRAIN) * 255


def _make_top(net: Net, layer: NetLayer, value: Value, shape: Shape, generator: torch.Generator) -> Tensor:
    if layer.type == "AnnotatedData" and value != layer.facts.node.tops[0]:
        return _ground_truth(layer.facts.tops[0][0], generator)
    classes = _classes(net, value)
    is_second = layer.type in _WITH_LABELS and value != layer.facts.node.tops[0]
    if classes or is_second:
        return torch.randint(0, classes or 1, shape, generator=generator).float()
    return _transform(synthetic_images(shape, generator), layer)


def _ground_truth(images: int, generator: torch.Generator) -> Tensor:
    """Returns rows (item, label, instance, xmin, ymin, xmax, ymax, difficult), (1, 1, images * _BOXES, 8)."""
    smallest, largest = _SIDES
    sides = smallest + (largest - smallest) * torch.rand(images, _BOXES, 2, generator=generator)
    corners = torch.rand(images, _BOXES, 2, generator=generator) * (1 - sides)
    rows = torch.zeros(images, _BOXES, 8)
    rows[..., 0] = torch.arange(images).view(-1, 1)
    rows[..., 1] = 1
    rows[..., 2] = torch.arange(_BOXES)
    rows[..., 3:5] = corners
    rows[..., 5:7] = corners + sides
    return rows.view(1, 1, -1, 8)


def _classes(net: Net, value: Value) -> int:
    """Returns how many whole numbers the readers of a top tell apart; 0 if it holds something else."""
    found = [
        _numbers(layer, place)
        for layer in net.layers
        for place, bottom in enumerate(layer.facts.node.bottoms)
        if bottom == value
    ]
    return min((number for number in found if number), default=0)


def _numbers(layer: NetLayer, place: int) -> int:
    """Returns how many whole numbers a layer tells apart in one of its bottoms; 0: it reads no such."""
    first = layer.facts.bottoms[0]
    if layer.type == "Embed":
        inputs: int = layer.facts.params.input_dim
        return inputs
    if layer.type == "Filter":
        return 2 if place == len(layer.facts.bottoms) - 1 else 0
    if layer.type in ("ContrastiveLoss", "LSTMUnit"):
        return 2 if place == 2 else 0
    if place != 1:
        return 0
    if layer.type in ("RNN", "LSTM"):
        return 2
    if layer.type in _READ_LABELS:
        return first[canonical_axis(layer.facts.params.axis, len(first))]
    if layer.type in _READ_ROW_LABELS:
        return count(first[1:])
    return first[0] if layer.type == "BatchReindex" else 0


def _transform(pixels: Tensor, layer: NetLayer) -> Tensor:
    """Subtracts the mean and scales as the layer would; inputs without such settings are centred."""
    param: TransformationParameter = layer.facts.node.layer.transform_param
    means = list(param.mean_value) or [_MEAN_OF_IMAGES if param.mean_file else 0.0]
    if layer.type not in ("Data", "ImageData", "AnnotatedData"):
        means = [_MEAN_OF_IMAGES]
    mean = torch.tensor(means).view(-1, *[1] * (pixels.dim() - 2))
    return (pixels - mean) * param.scale
