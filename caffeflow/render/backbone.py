"""Which classification net a detection net's backbone is, layer by layer, as its `.toml` declares it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A detection net's backbone.

    Attributes:
        net: The classification net.
        variant: Its variant whose layers these are, or an empty string if it has none.
        source: Where the correspondence is from.
        layers: Layer with weights of the detection net to that of the classification net. BatchNorm and
            Scale are not listed: they follow their convolution.
        thinned: Layers that are smaller than what they are made from, to the shape (C, H, W) of one
            output's weights in the classification net.
        beware: Layer that only a file of some other variant has, to what the user should know then.
    """

    net: str
    variant: str = ""
    source: str
    layers: Mapping[str, str]
    thinned: Mapping[str, tuple[int, ...]]
    beware: Mapping[str, str]

    @property
    def classifier(self) -> str:
        """The classification net as users name it."""
        return f"{self.net}:{self.variant}" if self.variant else self.net


def read_backbone(table: Mapping[str, Any]) -> Backbone:
    """Returns the backbone that a `[backbone]` table describes."""
    thinned = {name: tuple(shape) for name, shape in table.get("thinned", {}).items()}
    return Backbone(**{"beware": {}, **table, "thinned": thinned})
