"""What a net ends in: losses with their labels and targets, scores, and silence for what nothing reads."""

from __future__ import annotations

import math

from tests.support.random_nets.blobs import DrawnBlob
from tests.support.random_nets.recipes import loses
from tests.support.random_nets.sketch import NothingFits, Sketch


def _is_scores(blob: DrawnBlob) -> bool:
    return blob.axes >= 2 and 2 <= blob.shape[1] <= 30 and blob.flows and blob.size <= 6


def _is_flat(blob: DrawnBlob) -> bool:
    return blob.axes == 2 and _is_scores(blob)


def _labels(sketch: Sketch, scores: DrawnBlob) -> DrawnBlob:
    shape = (scores.shape[0], *scores.shape[2:])
    return sketch.add_input(shape, sketch.random.integers(0, scores.shape[1], shape), varied=False)


def _weight(sketch: Sketch) -> str:
    return f"loss_weight: {sketch.number(0.1, 2)}" if sketch.chance(0.4) else ""


def _normalised(sketch: Sketch) -> str:
    ignored = sketch.choose("", "", "ignore_label: 1")
    mode = sketch.choose("", "", "normalization: FULL", "normalization: BATCH_SIZE", "normalization: VALID")
    return f"loss_param {{ {ignored} {mode} }}" if ignored or mode else ""


@loses("SoftmaxWithLoss")
def softmax_loss(sketch: Sketch) -> None:
    scores = sketch.pick(_is_scores)
    text = f"{_normalised(sketch)} {_weight(sketch)}"
    sketch.add("SoftmaxWithLoss", [scores, _labels(sketch, scores)], text, final=True)


@loses("InfogainLoss", forced=False)
def infogain_loss(sketch: Sketch) -> None:
    scores = sketch.pick(_is_flat)
    classes = scores.shape[1]
    gains = sketch.add_input(
        (classes, classes), sketch.random.uniform(0, 1, (classes, classes)), varied=False
    )
    bottoms = [scores, _labels(sketch, scores), gains]
    sketch.add("InfogainLoss", bottoms, f"{_normalised(sketch)} {_weight(sketch)}", final=True)


@loses("MultinomialLogisticLoss")
def multinomial_loss(sketch: Sketch) -> None:
    scores = sketch.pick(_is_flat)
    shares = scores
    if not scores.probabilities:
        (shares,) = sketch.add("Softmax", [scores], probabilities=True)
    sketch.add("MultinomialLogisticLoss", [shares, _labels(sketch, shares)], _weight(sketch), final=True)


@loses("HingeLoss", kinks=True)
def hinge_loss(sketch: Sketch) -> None:
    scores = sketch.pick(_is_flat)
    text = f"hinge_loss_param {{ norm: {sketch.choose('L1', 'L2')} }} {_weight(sketch)}"
    sketch.add("HingeLoss", [scores, _labels(sketch, scores)], text, final=True)


@loses("EuclideanLoss")
def euclidean_loss(sketch: Sketch) -> None:
    blob = sketch.pick(lambda blob: 1 <= blob.axes <= 4 and blob.flows)
    try:
        other = sketch.pick(
            lambda other: other.shape == blob.shape and other.name != blob.name and other.flows
        )
    except NothingFits:
        other = sketch.add_input(blob.shape, sketch.random.standard_normal(blob.shape))
    sketch.add("EuclideanLoss", [blob, other], _weight(sketch), final=True)


@loses("SigmoidCrossEntropyLoss")
def cross_entropy_loss(sketch: Sketch) -> None:
    blob = sketch.pick(lambda blob: blob.axes >= 1 and blob.flows)
    targets = sketch.add_input(blob.shape, sketch.random.integers(0, 2, blob.shape), varied=False)
    text = f"{_normalised(sketch)} {_weight(sketch)}"
    sketch.add("SigmoidCrossEntropyLoss", [blob, targets], text, final=True)


@loses("ContrastiveLoss", kinks=True)
def contrastive_loss(sketch: Sketch) -> None:
    one = sketch.pick(lambda blob: blob.axes == 2 and blob.flows)
    other = sketch.pick(lambda blob: blob.shape == one.shape and blob.name != one.name and blob.flows)
    rows = one.shape[0]
    alike = sketch.add_input((rows,), sketch.random.integers(0, 2, rows), varied=False)
    text = f"contrastive_loss_param {{ margin: {sketch.number(1, 4)} }} {_weight(sketch)}"
    sketch.add("ContrastiveLoss", [one, other, alike], text, final=True)


@loses("Reduction as a loss")
def reduction_loss(sketch: Sketch) -> None:
    blob = sketch.pick(lambda blob: blob.axes >= 1 and blob.flows and not blob.centred)
    axis = int(sketch.random.integers(0, min(blob.axes, 2)))
    operation = sketch.choose("SUM", "MEAN", "SUMSQ")
    coefficient = 1 if operation == "MEAN" else 1 / math.prod(blob.shape[axis:])
    fields = f"reduction_param {{ operation: {operation} axis: {axis} coeff: {coefficient:.4g} }}"
    weight = f"loss_weight: {sketch.number(0.1, 2)}"
    sketch.add("Reduction", [blob], f"{fields} {weight}", final=True)


@loses("Accuracy", forced=False)
def accuracy(sketch: Sketch) -> None:
    scores = sketch.pick(lambda blob: blob.axes >= 2 and 2 <= blob.shape[1] <= 30 and blob.varied)
    top_k = int(sketch.choose(*range(1, min(3, scores.shape[1]) + 1)))
    tops = 1 if top_k > 1 else int(sketch.choose(1, 1, 2))
    fields = f"accuracy_param {{ top_k: {top_k} {sketch.choose('', '', 'ignore_label: 0')} }}"
    sketch.add("Accuracy", [scores, _labels(sketch, scores)], fields, tops=tops, final=True)


def read_a_loss(sketch: Sketch) -> None:
    """Lets a layer read the last loss, as nets do that weigh or add losses; it may be one itself."""
    last = sketch.layers[-1]
    if not last.type.endswith("Loss"):
        return
    loss = DrawnBlob(name=last.top[0], shape=(), learns=True)
    text = f"power_param {{ scale: {sketch.number(0.2, 2)} }}"
    for _ in range(int(sketch.choose(1, 1, 2))):
        weight = sketch.choose("", f"loss_weight: {sketch.number(0.1, 2)}")
        sketch.add("Power", [loss], f"{text} {weight}", final=True)


def silence_some(sketch: Sketch) -> None:
    """Lets a Silence layer read some of what nothing reads; the rest are the net's outputs."""
    unread = [sketch.blobs[name] for name in sketch.unread if sketch.chance(0.5)]
    if unread:
        sketch.add("Silence", unread, tops=0)
