"""Battery cases of Softmax, the losses and Accuracy."""

from __future__ import annotations

import numpy as np

from tests.support.layer_battery import Case
from tests.support.oracles import losses
from tests.support.oracles.accuracy import accuracy
from tests.support.oracles.softmax import softmax


def softmax_case(name, settings, bottom, *, axis=1):
    return Case(
        id=f"softmax-{name}",
        prototxt=f'type: "Softmax" softmax_param {{ {settings} }}',
        bottoms=[bottom],
        oracle=lambda xs, _: softmax(xs[0], axis=axis),
    )


SOFTMAX = [
    softmax_case("rows", "", (3, 7)),
    softmax_case("maps", "", (2, 3, 5, 7)),
    softmax_case("last-axis", "axis: -1", (2, 3, 5), axis=2),
    softmax_case("large", "", np.array([[1000.0, 1001.0, 999.0], [-1000.0, -900.0, -901.0]])),
]

ROW_LABELS = np.array([2, 0, 4])
MAP_LABELS = np.array([[[0, 1], [2, 2], [1, 0]], [[2, 2], [0, 1], [1, 1]]])


def loss_case(name, settings, scores, labels, *, tops=1, **arguments):
    def oracle(xs, _):
        loss, _ = losses.softmax_loss(*xs, **arguments)
        return [loss, softmax(xs[0], axis=arguments.get("axis", 1))][:tops]

    def gradient(xs, _blobs, diffs):
        return [losses.softmax_loss(*xs, **arguments)[1] * diffs[0]]

    return Case(
        id=f"softmaxwithloss-{name}",
        prototxt=f'type: "SoftmaxWithLoss" {settings}',
        bottoms=[scores, labels],
        oracle=oracle,
        gradient=gradient if tops == 1 else "numeric",
        differentiable=(0,),
        tops=tops,
    )


SOFTMAX_LOSS = [
    loss_case("rows", "", (3, 5), ROW_LABELS),
    loss_case("legacy-label-shape", "", (3, 5), ROW_LABELS.reshape(3, 1, 1, 1)),
    loss_case("maps", "", (2, 3, 3, 2), MAP_LABELS),
    loss_case("maps-last-axis", "softmax_param { axis: -1 }", (2, 3, 2, 3), MAP_LABELS, axis=3),
    loss_case("ignore", "loss_param { ignore_label: 2 }", (2, 3, 3, 2), MAP_LABELS, ignore=2),
    loss_case(
        "ignore-outside",
        "loss_param { ignore_label: 255 }",
        (2, 3, 3, 2),
        np.where(MAP_LABELS == 2, 255, MAP_LABELS),
        ignore=255,
    ),
    loss_case("all-ignored", "loss_param { ignore_label: -1 }", (3, 5), np.full(3, -1), ignore=-1),
    loss_case(
        "full", "loss_param { ignore_label: 2 normalization: FULL }", (2, 3, 3, 2), MAP_LABELS, ignore=2,
        normalization="FULL",
    ),
    loss_case(
        "batch-size",
        "loss_param { normalization: BATCH_SIZE }",
        (2, 3, 3, 2),
        MAP_LABELS,
        normalization="BATCH_SIZE",
    ),
    loss_case("none", "loss_param { normalization: NONE }", (3, 5), ROW_LABELS, normalization="NONE"),
    loss_case(
        "normalize-false",
        "loss_param { normalize: false }",
        (2, 3, 3, 2),
        MAP_LABELS,
        normalization="BATCH_SIZE",
    ),
    loss_case("hopeless", "", np.array([[0.0, 200, -50], [3, 1, 2]]), np.array([0, 1])),
    loss_case("probabilities", "loss_weight: [1, 0]", (3, 5), ROW_LABELS, tops=2),
    loss_case("fraction-is-cut", "", (3, 5), ROW_LABELS + 0.75),
]  # fmt: skip

TARGETS = np.array([[1.0, 0, 0.5, 1, 0.25], [0, 1, 1, 0.75, 0]])


def sigmoid_case(name, settings, **arguments):
    return Case(
        id=f"sigmoidcrossentropyloss-{name}",
        prototxt=f'type: "SigmoidCrossEntropyLoss" {settings}',
        bottoms=[(2, 5), TARGETS],
        oracle=lambda xs, _: losses.sigmoid_loss(*xs, **arguments)[0],
        gradient=lambda xs, _, diffs: [losses.sigmoid_loss(*xs, **arguments)[1] * diffs[0]],
        differentiable=(0,),
    )


OTHER_LOSSES = [
    sigmoid_case("default", ""),
    sigmoid_case("valid", "loss_param { normalization: VALID }", normalization="VALID"),
    sigmoid_case(
        "ignore-truncates",
        "loss_param { normalization: VALID ignore_label: 0 }",
        normalization="VALID",
        ignore=0,
    ),
    Case(
        id="euclideanloss-both-bottoms",
        prototxt='type: "EuclideanLoss"',
        bottoms=[(3, 2, 5), (3, 10)],
        oracle=lambda xs, _: losses.euclidean(*xs),
    ),
]

TIED = np.array([[1.0, 3, 3, 2], [0, 0, 0, 0], [5, 1, 2, 3], [1, 2, 3, 4], [4, 3, 2, 1]])


def accuracy_case(name, settings, scores, labels, *, tops=1, **arguments):
    return Case(
        id=f"accuracy-{name}",
        prototxt=f'type: "Accuracy" accuracy_param {{ {settings} }}',
        bottoms=[scores, labels],
        oracle=lambda xs, _: accuracy(*xs, **arguments)[:tops],
        gradient=None,
        tops=tops,
    )


ACCURACY = [
    accuracy_case("rows", "", (13, 5), np.arange(13) % 5),
    accuracy_case("top-3", "top_k: 3", (13, 5), np.arange(13) % 5, top_k=3),
    accuracy_case("ties-lose", "", TIED, np.array([1, 0, 0, 3, 2])),
    accuracy_case("ties-lose-top-2", "top_k: 2", TIED, np.array([1, 0, 0, 2, 1]), top_k=2),
    accuracy_case("maps", "", (2, 3, 3, 2), MAP_LABELS),
    accuracy_case("last-axis", "axis: -1", (2, 3, 2, 3), MAP_LABELS, axis=3),
    accuracy_case("ignore", "ignore_label: 2", (2, 3, 3, 2), MAP_LABELS, ignore=2),
    accuracy_case("all-ignored", "ignore_label: 7", (3, 5), np.full(3, 7), ignore=7),
    accuracy_case("per-class", "", (13, 7), np.arange(13) % 5, tops=2),
    accuracy_case("per-class-ignore", "ignore_label: 2", (2, 3, 3, 2), MAP_LABELS, tops=2, ignore=2),
]

CASES = [*SOFTMAX, *SOFTMAX_LOSS, *OTHER_LOSSES, *ACCURACY]
