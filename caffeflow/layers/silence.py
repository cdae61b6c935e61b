"""Silence: reads blobs so that they are no outputs of the net; makes nothing, gives no gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caffeflow.layers.spec import LayerSpec, Shape, no_params, register


def shapes(_params: Any, _bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns nothing."""
    return []


register(LayerSpec(type="Silence", bottoms=(1, None), tops=0, read=no_params, shapes=shapes))
