"""How large a blob of Caffe may be; what is larger is damage, and nothing may be allocated for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

MAX_AXES: Final = 32
"""Caffe: blob.hpp kMaxBlobAxes."""

MAX_VALUES: Final = 2**31 - 1
"""Caffe: an int counts a blob's values (blob.cpp Reshape)."""


def find_excess(shape: Sequence[int]) -> str | None:
    """Returns what no blob's shape may have and this one has, or None."""
    if len(shape) > MAX_AXES:
        return f"has {len(shape)} axes; expected at most {MAX_AXES}"
    sizes = " x ".join(map(str, shape))
    if min(shape, default=0) < 0:
        return f"has the shape {sizes}; expected sizes from 0 on"
    if math.prod(size for size in shape if size) > MAX_VALUES:
        return f"has the shape {sizes}; expected at most {MAX_VALUES} values"
    return None
