"""SmoothL1Loss: half the square of small differences, the absolute value of large ones; SSD fork only.

What is Caffe's own here:
  * the sum is divided by the number of rows, whatever `loss_param` says;
  * a third bottom weighs the differences before they are judged small or large, and their gradient is then
    not multiplied by the weight once more, as the chain rule would (published SSD trees have the code for
    it, but their loss layers' base refuses a third bottom).
"""

from __future__ import annotations

from collections.abc import Sequence

from caffeflow.errors import NetError
from caffeflow.layers.params import as_four, dims
from caffeflow.layers.spec import LayerSpec, Shape, no_params, register


def smooth_l1_shapes(_params: None, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns a scalar, of bottoms that agree in all four axes."""
    first = bottoms[0]
    for bottom in bottoms[1:]:
        if as_four(bottom) != as_four(first):
            raise NetError(f"the bottoms must have the same shape; found {dims(first)} and {dims(bottom)}")
    return [()]


register(
    LayerSpec(
        type="SmoothL1Loss",
        bottoms=(2, 3),
        read=no_params,
        shapes=smooth_l1_shapes,
        default_loss_weight=1.0,
        auto_tops=True,
        note="a third bottom's weights count once in the gradient, as in the SSD fork",
    )
)
