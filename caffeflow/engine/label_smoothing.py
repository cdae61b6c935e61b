"""Label smoothing: part of each label is shared out evenly among all classes.

With a share e and K classes, the label's own probability is held against 1 - e + e/K and every other against
e/K (arXiv:1512.00567, section 7). Caffe's labels are whole numbers, so its files cannot say this.
"""

from __future__ import annotations

from typing import Final

from caffeflow.engine.modules.losses import SoftmaxWithLoss
from caffeflow.engine.net import Net
from caffeflow.errors import UsageError

_OTHERS: Final = (
    "SigmoidCrossEntropyLoss",
    "HingeLoss",
    "InfogainLoss",
    "MultinomialLogisticLoss",
    "MultiBoxLoss",
)


def smooth_labels(net: Net, share: float) -> None:
    """Lets every SoftmaxWithLoss of a net hold its scores against smoothed labels.

    Args:
        net: The train net; a test net's loss stays as it is, to be compared with others'.
        share: How much of each label is shared out.

    Raises:
        UsageError: The net has no such layer.
    """
    losses = [layer.module for layer in net.layers if isinstance(layer.module, SoftmaxWithLoss)]
    if not losses:
        other = next(
            (f"; '{layer.name}' is a {layer.type}" for layer in net.layers if layer.type in _OTHERS), ""
        )
        raise UsageError(
            f"--label-smoothing {share:g} changes the labels of SoftmaxWithLoss, and the train net has no"
            f" such layer{other}; leave it out"
        )
    for loss in losses:
        loss.smoothing = share
