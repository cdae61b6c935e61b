"""The figures of a test: what each batch adds to them, and how they look as JSON."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.engine.net import Net
from caffeflow.engine.training import Result
from caffeflow.errors import CheckError, NetError
from caffeflow.evaluate.classification import Classification, Tally
from caffeflow.layers.params import dims
from caffeflow.workflows.test_data import class_names_of
from caffeflow.workflows.test_subject import Subject

_SMALLEST: Final = np.finfo(np.float32).tiny
_MOST_CONFUSED: Final = 20
_LARGEST_MATRIX: Final = 100


class TestFigures:
    """Adds up what a net says, each record counted the same.

    Args:
        subject: What is tested.
        net: Its net.
    """

    __test__ = False  # no test, whatever its name begins with

    def __init__(self, subject: Subject, net: Net) -> None:
        self._subject: Final = subject
        self.seen = 0
        self._loss: float | None = None
        self._sums: dict[str, float] = {}
        shapes = net.shapes.tops
        self._tally: Final = _tally(subject, net)
        self._scalars: Final = [
            output.value.blob
            for output in net.outputs
            if math.prod(shapes[output.value]) == 1 and not subject.is_deploy
        ]

    def first(self, tops: tuple[Any, ...], most: int) -> tuple[Any, ...]:
        """Returns the first records of a batch."""
        return tuple(top[:most] for top in tops)

    def check(self, tops: tuple[Any, ...]) -> None:
        """Looks at the labels of a batch before the net does, which may say less.

        Raises:
            DataError: One is no class of the net.
        """
        if self._tally is not None:
            self._tally.check(self._labels(tops))

    def add(self, result: Result, tops: tuple[Any, ...]) -> None:
        """Counts a batch."""
        labels = self._labels(tops)
        count = len(tops[0])
        self.seen += count
        for blob in self._scalars:
            self._sums[blob] = self._sums.get(blob, 0.0) + float(result.outputs[blob]) * count
        if not self._subject.is_deploy:
            self._loss = (self._loss or 0.0) + float(result.loss) * count
        if self._tally is not None:
            self._add_scores(self._tally, result, labels)

    def result(self, weights: Path) -> dict[str, Any]:
        """Returns the figures as JSON has them.

        Args:
            weights: The weights' file, for messages.

        Raises:
            CheckError: Some are no numbers.
        """
        counted = self._tally.result() if self._tally else None
        broken = counted.broken if counted else 0
        loss = None if self._loss is None else self._loss / self.seen
        if broken or (loss is not None and not math.isfinite(loss)):
            what = f"the scores of {broken} of {self.seen} records" if broken else f"the loss ({loss})"
            raise CheckError(
                f"{weights}: {what} is not all numbers but NaN or infinite; look at the weights with:"
                f" caffeflow weights show {weights}"
            )
        names = class_names_of(self._subject.data)
        return {
            "records": self.seen,
            "loss": loss,
            **classification_figures(counted, names),
            "outputs": {blob: total / self.seen for blob, total in self._sums.items()},
        }

    def _labels(self, tops: tuple[Any, ...]) -> NDArray[np.float32]:
        labels: NDArray[np.float32] = tops[self._subject.label_top].numpy()
        return labels.ravel()  # HDF5 may hold them as a column

    def _add_scores(self, tally: Tally, result: Result, labels: NDArray[np.float32]) -> None:
        assert self._subject.scores is not None  # noqa: S101 - without scores there is no tally
        scores = result.outputs[self._subject.scores].float().cpu().numpy().reshape(len(labels), -1)
        tally.add(scores, labels)
        if self._subject.is_deploy and self._subject.has_probabilities:
            # Caffe: SoftmaxWithLoss takes no probability for smaller than this (softmax_loss_layer.cpp).
            own = np.maximum(scores[np.arange(len(labels)), labels.astype(np.int64)], _SMALLEST)
            self._loss = (self._loss or 0.0) - float(np.log(own).sum())


def _tally(subject: Subject, net: Net) -> Tally | None:
    """Returns what counts the answers, if the net has a score for each class of each image."""
    if subject.scores is None:
        return None
    shape = net.shapes.tops[net.graph.last(subject.scores)]
    if len(shape) < 2 or math.prod(shape[2:]) != 1:
        raise NetError(
            f"{subject.path}: blob '{subject.scores}' is {dims(shape)}; expected one score a class and image"
        )
    return Tally(shape[1])


def classification_figures(counted: Classification | None, names: tuple[str, ...]) -> dict[str, Any]:
    """Returns shares, classes and what is confused as JSON has them; fields are empty without a count."""
    if counted is None:
        return {"top1": None, "top5": None, "classes": None, "per_class": [], "most_confused": []}
    said = [names[label] if label < len(names) else str(label) for label in range(len(counted.support))]
    per_class = zip(said, counted.support.tolist(), counted.per_class.tolist(), strict=True)
    figures: dict[str, Any] = {
        "top1": counted.top1,
        "top5": counted.top5,
        "classes": len(said),
        "per_class": [
            {"label": label, "name": name, "records": records, "accuracy": share if records else None}
            for label, (name, records, share) in enumerate(per_class)
        ],
        "most_confused": [
            {"name": said[truth], "taken_for": said[taken], "records": records}
            for truth, taken, records in counted.most_confused(_MOST_CONFUSED)
        ],
    }
    if len(said) <= _LARGEST_MATRIX:
        figures["confusion"] = counted.confusion.tolist()
    return figures
