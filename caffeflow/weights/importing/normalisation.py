"""How PyTorch's nets are fed, and what that becomes here.

There: (RGB / 255 - mean) / std for each channel. Here: (BGR - mean_value) * scale, and what is left of
the division goes into the first convolution. Both pad with zeros after the mean is subtracted, so the
margins agree too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffeflow.proto.binary import Array


@dataclass(frozen=True, kw_only=True)
class Normalisation:
    """What a net's training subtracted from and divided pictures of 0 to 1 by; torchvision's by default."""

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)

    @property
    def mean_values(self) -> tuple[float, ...]:
        """The means of pixels of 0 to 255 in the order B, G, R, as a data layer's `mean_value`."""
        return tuple(round(value * 255, 6) for value in reversed(self.mean))

    def absorbed(self, weight: NDArray[Any], scale: Sequence[float]) -> Array:
        """Returns the first convolution's weights for pixels in the order B, G, R.

        Args:
            weight: (O, 3, h, w) for R, G, B.
            scale: What the net's data layers multiply by: one factor, or one each for B, G, R.
        """
        # weight: (O, RGB, h, w) -> (O, BGR, h, w)
        divisors = 255 * np.array(self.std[::-1]) * np.broadcast_to(scale, 3)
        turned = weight[:, ::-1].astype(np.float64) / divisors[:, None, None]
        return np.ascontiguousarray(turned, np.float32)
