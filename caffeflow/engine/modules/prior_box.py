"""PriorBox on PyTorch: made once for the sizes at hand, then handed out again.

Centres and sides are rounded to float32 before boxes are made of them in double precision, as in Caffe.
"""

from __future__ import annotations

import torch
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.layers.params import Pair, as_four
from caffeflow.layers.prior_box import PriorBoxParams


@module("PriorBox")
class PriorBox(LayerModule):
    """The boxes of every place of a feature map, and their variances; no gradient."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.params: PriorBoxParams = setup.params
        self._made: tuple[object, Tensor] | None = None

    def forward(self, features: Tensor, image: Tensor | None = None) -> Tensor:
        """Returns the boxes for a feature map on an image, of which only the sizes count."""
        # features: (N, C, H, W), image: (N, C, height, width) -> (1, 2, H*W*P*4)
        size = self.params.image
        if size is None and image is not None:
            size = _plane(image)
        if size is None:
            raise AssertionError("shape inference asks for an image or img_size")
        dtype = torch.promote_types(features.dtype, torch.float32)
        key = (_plane(features), size, dtype, features.device)
        if self._made is None or self._made[0] != key:
            # Of use to a net that trains as well, so no inference tensor.
            with torch.inference_mode(mode=False), torch.no_grad():
                made = prior_boxes(self.params, features=key[0], image=size)
                self._made = (key, made.to(features.device, dtype))
        return self._made[1]


def prior_boxes(params: PriorBoxParams, *, features: Pair, image: Pair) -> Tensor:
    """Returns boxes and variances in double precision, (1, 2, H*W*P*4).

    Args:
        params: The layer's settings.
        features: (H, W) of the feature map.
        image: (height, width) of the image.
    """
    sides = torch.tensor(params.sides(), dtype=torch.float32)
    centres = [
        (torch.arange(places, dtype=torch.float32) + params.offset) * step
        for places, step in zip(features, _steps(params, features=features, image=image), strict=True)
    ]
    boxes = torch.empty((*features, params.count, 4), dtype=torch.float64)
    for axis, size in enumerate(image):  # 0: y and height, 1: x and width
        centre = centres[axis].double().reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        half = sides[:, axis].double() / 2
        boxes[..., 1 - axis] = (centre - half) / size
        boxes[..., 3 - axis] = (centre + half) / size
    if params.clip:
        boxes.clamp_(0, 1)
    variances = torch.tensor(params.variances, dtype=torch.float64).expand(boxes.numel() // 4, 4)
    return torch.stack((boxes.flatten(), variances.flatten())).unsqueeze(0)


def _steps(params: PriorBoxParams, *, features: Pair, image: Pair) -> list[Tensor]:
    steps = params.step or [size / places for size, places in zip(image, features, strict=True)]
    return [torch.tensor(step, dtype=torch.float32) for step in steps]


def _plane(blob: Tensor) -> Pair:
    height, width = as_four(tuple(blob.shape))[2:]
    return height, width
