"""Battery cases of HingeLoss, MultinomialLogisticLoss, InfogainLoss and ContrastiveLoss."""

from __future__ import annotations

import numpy as np

from tests.support.layer_battery import Case
from tests.support.oracles import label_losses

LABELS = np.array([2, 0, 4])
MAP_LABELS = np.array([[[0, 1], [2, 2], [1, 0]], [[2, 2], [0, 1], [1, 1]]])


def case(layer_type, name, settings, bottoms, loss, **arguments):
    """A loss with a gradient by its first bottom."""

    def oracle(xs, _):
        return loss(*xs, **arguments)[0]

    def gradient(xs, _blobs, diffs):
        return [loss(*xs, **arguments)[1] * diffs[0]]

    return Case(
        id=f"{layer_type.lower()}-{name}",
        prototxt=f'type: "{layer_type}" {settings}',
        bottoms=bottoms,
        oracle=oracle,
        gradient=gradient,
        differentiable=(0,),
    )


# Margins of exactly 0: the label's score is 1, another's is -1.
MET = np.array([[1.0, -1, 0.5], [-1, 2, -3]])

HINGE = [
    case("HingeLoss", "rows", "", [(3, 5), LABELS], label_losses.hinge),
    case(
        "HingeLoss", "squared", "hinge_loss_param { norm: L2 }", [(3, 5), LABELS], label_losses.hinge,
        squared=True,
    ),
    case("HingeLoss", "maps", "", [(3, 5, 2, 7), LABELS.reshape(3, 1, 1, 1)], label_losses.hinge),
    case("HingeLoss", "margins-met", "", [MET, np.array([0, 1])], label_losses.hinge),
]  # fmt: skip

SHARES = np.array([[0.1, 0.2, 0.3, 0.25, 0.15], [0.6, 0.1, 0.1, 0.1, 0.1], [0.05, 0.05, 0.1, 0.3, 0.5]])

MULTINOMIAL = [
    case("MultinomialLogisticLoss", "rows", "", [SHARES, LABELS], label_losses.multinomial),
    case(
        "MultinomialLogisticLoss",
        "nothing-left",
        "",
        [np.array([[1.0, 0.0], [0.25, 0.75]]), np.array([1, 0])],
        label_losses.multinomial,
    ),
]


def infogain(name, settings, scores, labels, **arguments):
    classes = np.shape(np.zeros(scores))[arguments.get("axis", 1)]
    matrix = np.arange(classes**2, dtype=np.float64).reshape(classes, classes) % 7 / 8 - 0.25
    made = case(
        "InfogainLoss",
        name,
        settings,
        [scores, labels, matrix],
        label_losses.infogain,
        **arguments,
    )
    return Case(
        id=made.id,
        prototxt=made.prototxt,
        bottoms=made.bottoms,
        oracle=made.oracle,
        gradient=made.gradient,
        differentiable=(0,),
        larger_batch=False,
    )


INFOGAIN = [
    infogain("rows", "", (3, 5), LABELS),
    infogain("maps", "", (2, 3, 3, 2), MAP_LABELS),
    infogain("last-axis", "infogain_loss_param { axis: -1 }", (2, 3, 2, 3), MAP_LABELS, axis=3),
    infogain("ignore", "loss_param { ignore_label: 2 }", (2, 3, 3, 2), MAP_LABELS, ignore=2),
    infogain(
        "full", "loss_param { ignore_label: 2 normalization: FULL }", (2, 3, 3, 2), MAP_LABELS, ignore=2,
        normalization="FULL",
    ),
    infogain(
        "batch-size", "loss_param { normalization: BATCH_SIZE }", (2, 3, 3, 2), MAP_LABELS,
        normalization="BATCH_SIZE",
    ),
]  # fmt: skip

# Far pairs, near ones and one of equal vectors.
FIRST = np.array([[1.0, 2, 3], [0.5, 0.25, 0], [0.5, 0.25, 0], [1, 1, 1], [3, 3, 3]])
SECOND = np.array([[1.0, 1, 1], [0.25, 0.5, 0], [0.25, 0.5, 0], [1, 1, 1], [0, 0, 0]])
KINDS = np.array([1.0, 1, 0, 0.5, 0])


def contrastive(name, settings, shape=(5, 3), **arguments):
    def gradient(xs, _blobs, diffs):
        da = label_losses.contrastive(*xs, **arguments)[1] * diffs[0]
        return [da, -da]

    return Case(
        id=f"contrastiveloss-{name}",
        prototxt=f'type: "ContrastiveLoss" contrastive_loss_param {{ {settings} }}',
        bottoms=[FIRST.reshape(shape), SECOND.reshape(shape), KINDS.reshape(5, *shape[2:])],
        oracle=lambda xs, _: label_losses.contrastive(*xs, **arguments)[0],
        gradient=gradient,
        differentiable=(0, 1),
    )


CONTRASTIVE = [
    contrastive("plain", ""),
    contrastive("margin", "margin: 0.5", (5, 3, 1, 1), margin=0.5),
    contrastive("legacy", "legacy_version: true margin: 2", legacy=True, margin=2.0),
]

CASES = [*HINGE, *MULTINOMIAL, *INFOGAIN, *CONTRASTIVE]
