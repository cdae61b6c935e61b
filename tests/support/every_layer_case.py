"""All files of layer cases, for whatever goes through every one of them."""

from __future__ import annotations

from tests.support.layer_cases import (
    activations,
    convolution,
    data,
    detection,
    inner_product,
    label_losses,
    multibox,
    normalisation,
    pooling,
    recurrent,
    scores,
    selection,
    structure,
)

FAMILIES = (
    activations, convolution, data, detection, inner_product, label_losses, multibox, normalisation, pooling,
    recurrent, scores, selection, structure,
)  # fmt: skip
CASES = [case for family in FAMILIES for case in family.CASES]
