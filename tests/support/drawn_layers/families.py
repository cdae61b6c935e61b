"""Every type that is drawn: those of BVLC's Caffe."""

from __future__ import annotations

from typing import Final

from tests.support.drawn_layers import activations, losses, recurrent, structure, sums, windows
from tests.support.drawn_layers.configuration import Configuration, Family, drawn

CONFIGURATIONS: Final = 20

FAMILIES: Final[dict[str, Family]] = (
    activations.FAMILIES
    | losses.FAMILIES
    | recurrent.FAMILIES
    | structure.FAMILIES
    | sums.FAMILIES
    | windows.FAMILIES
)


def configurations(layer_type: str) -> list[Configuration]:
    """Returns all configurations of a type."""
    return [drawn(layer_type, number, FAMILIES[layer_type]) for number in range(CONFIGURATIONS)]
