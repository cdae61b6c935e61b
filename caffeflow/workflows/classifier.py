"""A bundle that classifies, ready to look at pictures of any size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from caffeflow.engine.device import choose_device
from caffeflow.engine.feed.batches import Buffers
from caffeflow.engine.net import Net
from caffeflow.engine.training import FusedExecutor
from caffeflow.errors import DataError, NetError
from caffeflow.images import Image
from caffeflow.workflows.bundle import LABELS_NAME, Bundle, Scores, scores_of
from caffeflow.workflows.bundle_preprocess import Preprocessor
from caffeflow.workflows.test import load_weights

Floats = NDArray[np.float32]


class Classifier:
    """A bundle's net with its weights.

    Args:
        bundle: The bundle.
        device: `auto`, `cpu` or `cuda`.
        precision: Of the arithmetic.
        note: Gets sentences on what was decided.

    Raises:
        NetError: The net finds boxes, or has not one score a class.
        WeightsError: The weights do not fit.
        DataError: The labels are not as many as the classes.
    """

    def __init__(
        self, bundle: Bundle, *, device: str, precision: Literal["fp32", "bf16"], note: Callable[[str], None]
    ) -> None:
        self.bundle: Final = bundle
        self.scores: Final = classifying(bundle)
        self._preprocessor: Final = Preprocessor(bundle.preprocess)
        net = Net.of(bundle.role, seed=None, device=choose_device(device))
        load_weights(net, bundle.weights, bundle.role.net_file.path, note)
        self.device: Final = net.device
        self._buffers: Final = Buffers(pin=False)
        self._input: Final = net.fed[0].name
        self._executor: Final = FusedExecutor(net, precision=precision, keep=[self.scores.blob])

    def look(self, pictures: Sequence[Image], names: Sequence[str]) -> Floats:
        """Returns a score for each picture, (H, W, 3) or gray (H, W), and class: (N, classes).

        Raises:
            DataError: What becomes of a picture is not what the net takes; `names` are for messages.
        """
        batch = self._buffers.take((len(pictures), *self.bundle.preprocess.shape))
        self._preprocessor.fill(pictures, batch.numpy(), name=lambda place: names[place])
        made = self._executor.forward({self._input: (batch,)}).outputs[self.scores.blob]
        scores: Floats = made.float().cpu().numpy().reshape(len(pictures), -1)
        return scores


def classifying(bundle: Bundle) -> Scores:
    """Returns where the scores of a bundle come out.

    Raises:
        NetError: It does not classify.
        DataError: Its labels are not as many as its classes.
    """
    if bundle.finds_boxes:
        raise NetError(
            f"{bundle.folder}: finds boxes, which classify does not show; use: caffeflow detect PICTURE --net"
            f" {bundle.folder}"
        )
    scores = scores_of(bundle.graph, bundle.shapes, what=str(bundle.folder))
    if len(bundle.labels) != scores.classes:
        raise DataError(
            f"{bundle.folder / LABELS_NAME}: has {len(bundle.labels)} lines, but the net tells"
            f" {scores.classes} classes apart; it needs a line for each"
        )
    return scores
