"""DetectionOutput, which ONNX has no operator for: it is cut off, and what it needs is kept beside.

Outputs of the graph are then its loc and conf bottoms; the priors and its settings go into two files. Who
runs the graph decodes loc with priors and variances, and thins out by score and overlap.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np

from caffeflow.errors import NetError
from caffeflow.export.priors import joined_priors
from caffeflow.layers.detection_output import DetectionOutputParams
from caffeflow.layers.inference import LayerFacts
from caffeflow.proto.binary import Array
from caffeflow.proto.graph import Value


@dataclass(frozen=True, kw_only=True)
class DetectionHead:
    """What a DetectionOutput layer was given.

    Attributes:
        layer: Its name.
        loc: Values in the coding of `params`, (N, priors * 4), once for each class unless shared.
        conf: Scores as the net makes them, (N, priors * classes).
        priors: Boxes and variances, (1, 2, priors * 4).
        params: Its settings.
    """

    layer: str
    loc: Value
    conf: Value
    priors: Array
    params: DetectionOutputParams

    @property
    def count(self) -> int:
        """How many priors there are."""
        return int(self.priors.shape[2]) // 4

    def priors_file(self) -> bytes:
        """Returns an .npz with `priors` (xmin, ymin, xmax, ymax) and `variances`, both (count, 4)."""
        boxes, variances = self.priors.reshape(2, -1, 4)
        out = BytesIO()
        np.savez(out, priors=boxes, variances=variances)
        return out.getvalue()

    def settings(self) -> dict[str, Any]:
        """Returns what JSON says of the head, but for the names of values and files."""
        params = self.params
        threshold = params.confidence_threshold
        return {
            "layer": self.layer,
            "priors": self.count,
            "num_classes": params.num_classes,
            "share_location": params.share_location,
            "background_label_id": params.background,
            "code_type": params.coding.kind,
            "variance_encoded_in_target": params.coding.variance_in_target,
            "confidence_threshold": None if math.isinf(threshold) else _short(threshold),
            "nms_threshold": _short(params.suppression.threshold),
            "top_k": params.suppression.top_k,
            "eta": _short(params.suppression.eta),
            "keep_top_k": params.keep_top_k,
        }


def find_head(facts: LayerFacts, makers: Mapping[Value, LayerFacts]) -> DetectionHead:
    """Returns what a DetectionOutput layer was given.

    Raises:
        NetError: Its priors are not made of PriorBox layers alone.
    """
    if facts.spec.type != "DetectionOutput":
        raise NetError(f"expected a DetectionOutput, found {facts.spec.type}", layer=facts.name)
    loc, conf, priors = facts.node.bottoms[:3]
    return DetectionHead(
        layer=facts.name, loc=loc, conf=conf, priors=joined_priors(priors, makers), params=facts.params
    )


def _short(value: float) -> float:
    """Returns a float32 as the prototxt wrote it, 0.45 and not 0.449999988."""
    return float(f"{value:.7g}")
