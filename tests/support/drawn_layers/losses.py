"""Drawn losses and Accuracy."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any, Final

import numpy as np

from caffeflow.proto.caffe_pb2 import LayerParameter
from tests.support.drawn_layers.configuration import Bottom, Configuration, Family, weigh
from tests.support.drawn_layers.draw import (
    Draw,
    Shape,
    Values,
    below,
    below_or,
    bits,
    normal,
    probabilities,
    tied,
)


def _loss(
    draw: Draw, layer: LayerParameter, scores: Bottom, *others: Bottom, both: bool = False
) -> Configuration:
    """Returns a loss of scores and what has no gradient; its own weight or a drawn top gradient."""
    weigh(draw, layer, share=0.5)
    bottoms = (scores, *(replace(other, gradient=both) for other in others))
    return Configuration(layer=layer, bottoms=bottoms, phase=draw.one_of("TRAIN", "TEST"))


def _without(shape: Shape, axis: int) -> Shape:
    return tuple(size for place, size in enumerate(shape) if place != axis % len(shape))


def _scores_and_labels(
    draw: Draw, param: Any, *, lowest_axis: int = 1
) -> tuple[Shape, int, int | None, Values]:
    """Draws a shape, its axis of classes, an ignored label (of a class, or of none) and the labels.

    A loss wants as many labels as scores along the first axis, so its axis is another.
    """
    shape, axis = draw.shape(2, 5), 1
    if draw.chance(0.7):
        axis = param.axis = draw.axis(len(shape), lowest_axis)
    classes = shape[axis]
    ignored = draw.one_of(-1, 255, draw.integer(0, classes - 1)) if draw.chance() else None
    return shape, axis, ignored, below(classes) if ignored is None else below_or(classes, ignored)


def _normalization(draw: Draw, layer: LayerParameter, *, older: bool) -> None:
    how = draw.one_of("", "new", "new", "older") if older else draw.one_of("", "new", "new")
    if how == "new":
        layer.loss_param.normalization = draw.integer(0, 3)
    elif how == "older":
        layer.loss_param.normalize = draw.chance()


def accuracy(draw: Draw) -> Configuration:
    """Draws an Accuracy, over ties as well; of all classes, or of each."""
    layer = LayerParameter()
    param = layer.accuracy_param
    shape, axis, ignored, labels = _scores_and_labels(draw, param, lowest_axis=0)
    if ignored is not None:
        param.ignore_label = ignored
    if draw.chance(0.6):
        param.top_k = draw.integer(1, shape[axis])
    scores = Bottom(shape=shape, values=draw.one_of(normal, tied))
    truth = Bottom(shape=_without(shape, axis), values=labels)
    return Configuration(
        layer=layer, bottoms=(scores, truth), tops=draw.one_of(1, 2), backward=False, phase="TEST"
    )


def contrastive_loss(draw: Draw) -> Configuration:
    """Draws a ContrastiveLoss; some pairs are alike."""
    layer = LayerParameter()
    if draw.chance(0.8):
        layer.contrastive_loss_param.margin = draw.number(0.5, 5)
    if draw.chance():
        layer.contrastive_loss_param.legacy_version = draw.chance()
    shape = (draw.integer(1, 9), draw.integer(1, 7), *draw.one_of((), (1, 1)))
    side = Bottom(shape=shape)
    alike = Bottom(shape=(shape[0],), values=bits)
    weigh(draw, layer, share=0.5)
    return Configuration(layer=layer, bottoms=(side, side, replace(alike, gradient=False)))


def euclidean_loss(draw: Draw) -> Configuration:
    """Draws a EuclideanLoss of two bottoms, whose second may have another shape."""
    shape = draw.shape(1, 4)
    other = (shape[0], prod(shape[1:])) if len(shape) > 1 and draw.chance(0.3) else shape
    layer = LayerParameter()
    one_sided = draw.chance(0.3)
    return _loss(draw, layer, Bottom(shape=shape), Bottom(shape=other), both=not one_sided)


def hinge_loss(draw: Draw) -> Configuration:
    """Draws a HingeLoss, with margins of zero as well."""
    layer = LayerParameter()
    if draw.chance(0.7):
        layer.hinge_loss_param.norm = draw.integer(1, 2)
    shape = draw.shape(2, 4)
    values = draw.one_of(normal, tied)
    labels = Bottom(shape=draw.one_of((shape[0],), (shape[0], 1)), values=below(prod(shape[1:])))
    return _loss(draw, layer, Bottom(shape=shape, values=values), labels)


def infogain_loss(draw: Draw) -> Configuration:
    """Draws an InfogainLoss whose matrix is a bottom."""
    layer = LayerParameter()
    shape, axis, ignored, labels = _scores_and_labels(draw, layer.infogain_loss_param)
    if ignored is not None:
        layer.loss_param.ignore_label = ignored
    _normalization(draw, layer, older=False)
    matrix = Bottom(shape=(shape[axis], shape[axis]), values=_weights)
    truth = Bottom(shape=_without(shape, axis), values=labels)
    return _loss(draw, layer, Bottom(shape=shape), truth, matrix)


def _weights(random: np.random.Generator, shape: Shape) -> np.ndarray:
    return random.uniform(0, 2, shape) * (random.random(shape) < 0.7)


def multinomial_logistic_loss(draw: Draw) -> Configuration:
    """Draws a MultinomialLogisticLoss of probabilities."""
    shape = draw.shape(2, 4)
    labels = Bottom(shape=draw.one_of((shape[0],), (shape[0], 1)), values=below(prod(shape[1:])))
    return _loss(draw, LayerParameter(), Bottom(shape=shape, values=probabilities), labels)


def sigmoid_cross_entropy_loss(draw: Draw) -> Configuration:
    """Draws a SigmoidCrossEntropyLoss; targets are bits, fractions or ignored."""
    layer = LayerParameter()
    shape = draw.shape(1, 5)
    values: Values = draw.one_of(bits, probabilities_of_bits)
    if draw.chance():
        layer.loss_param.ignore_label = draw.one_of(-1, 255, 0)
        values = below_or(2, layer.loss_param.ignore_label)
    _normalization(draw, layer, older=True)
    return _loss(draw, layer, Bottom(shape=shape), Bottom(shape=shape, values=values))


def probabilities_of_bits(random: np.random.Generator, shape: Shape) -> np.ndarray:
    """Draws numbers from 0 to 1."""
    return random.uniform(0, 1, shape)


def softmax_with_loss(draw: Draw) -> Configuration:
    """Draws a SoftmaxWithLoss over any axis."""
    layer = LayerParameter()
    shape, axis, ignored, labels = _scores_and_labels(draw, layer.softmax_param)
    if draw.chance(0.4):
        layer.softmax_param.engine = 1  # CAFFE
    if ignored is not None:
        layer.loss_param.ignore_label = ignored
    _normalization(draw, layer, older=True)
    truth = Bottom(shape=_without(shape, axis), values=labels)
    return _loss(draw, layer, Bottom(shape=shape), truth)


FAMILIES: Final[dict[str, Family]] = {
    "Accuracy": accuracy,
    "ContrastiveLoss": contrastive_loss,
    "EuclideanLoss": euclidean_loss,
    "HingeLoss": hinge_loss,
    "InfogainLoss": infogain_loss,
    "MultinomialLogisticLoss": multinomial_logistic_loss,
    "SigmoidCrossEntropyLoss": sigmoid_cross_entropy_loss,
    "SoftmaxWithLoss": softmax_with_loss,
}
