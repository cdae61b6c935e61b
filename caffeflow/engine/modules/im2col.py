"""Im2col on PyTorch, for any number of spatial axes: a strided view of the padded bottom, then one copy."""

from __future__ import annotations

from itertools import chain

import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.im2col import Im2colParams
from caffeflow.layers.params import canonical_axis


@module("Im2col")
class Im2col(LayerModule):
    """Windows as channels."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        params: Im2colParams = setup.params
        bottom = setup.bottoms[0]
        self.axis = canonical_axis(params.axis, len(bottom))
        self.filters = params.filters(bottom)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the windows."""
        # x: (batch…, C, spatial…) -> (batch…, C * window, places…)
        filters, first = self.filters, self.axis + 1
        axes = len(filters.kernel)
        windows = F.pad(x, list(chain.from_iterable((pad, pad) for pad in reversed(filters.pad))))
        for place in range(axes):
            extent = filters.dilation[place] * (filters.kernel[place] - 1) + 1
            windows = windows.unfold(first + place, extent, filters.stride[place])
            windows = windows[..., :: filters.dilation[place]]
        # (batch…, C, places…, window…): the window's axes go before the places
        places = list(range(first, first + axes))
        moved = windows.movedim([place + axes for place in places], places)
        return moved.reshape(*x.shape[: self.axis], -1, *windows.shape[first : first + axes])
