"""One layer of ours on Caffe's own bottoms and top gradients, and how large its sums are before they cancel.

Rounding in a sum grows with the absolute values of its terms, not with the sum: the gradient of a bias below a
softmax is the sum of what adds up to zero, and holds nothing but rounding. So differences are measured
against the sum of absolute terms. For gradients a lower bound of it stands in, which works for every type: gradients
from the same values under drawn signs, so that nothing cancels but by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from caffeflow.engine.net import NetLayer

Arrays = list[np.ndarray]

LINEAR: Final = frozenset(
    {"Bias", "Convolution", "Deconvolution", "Embed", "InnerProduct", "Reduction", "Scale"}
)
"""Types whose tops are sums of products: from absolute values they make the sums of absolute terms."""

_DRAWS: Final = 4


@dataclass(frozen=True)
class Gradients:
    """Gradients of a layer's bottoms and learned blobs; None for each that gets none."""

    bottoms: list[np.ndarray | None]
    learned: list[np.ndarray | None]


class Alone:
    """A layer that has run forward by itself.

    Args:
        layer: The layer, with the learned blobs that it is to have.
        bottoms: What it reads.
        needs: Which of its bottoms get a gradient.

    Attributes:
        sizes: The largest sum of absolute terms in each top; None where tops are no sums.
        tops: What it made.
        after: Its learned blobs after that.
    """

    def __init__(self, layer: NetLayer, bottoms: Sequence[np.ndarray], needs: Sequence[bool]) -> None:
        self.sizes: Final = _sizes(layer, bottoms) if layer.type in LINEAR else None
        self._given: Final = [
            torch.from_numpy(bottom).requires_grad_(need) for bottom, need in zip(bottoms, needs, strict=True)
        ]
        self._learned: Final = layer.tensors
        self._made: Final = _tuple(layer.module.forward(*self._given))
        self.tops: Final[Arrays] = [top.detach().numpy() for top in self._made]
        self.after: Final[Arrays] = [tensor.detach().numpy().copy() for tensor in layer.tensors]

    def gradients(self, top_diffs: Sequence[np.ndarray]) -> Gradients:
        """Returns what flows down from these gradients of the tops."""
        sources = [tensor for tensor in (*self._given, *self._learned) if tensor.requires_grad]
        seeded = [
            (top, torch.from_numpy(diff))
            for top, diff in zip(self._made, top_diffs, strict=False)
            if top.requires_grad
        ]
        found: dict[int, np.ndarray] = {}
        if seeded and sources:
            outs, seeds = zip(*seeded, strict=True)
            grads = torch.autograd.grad(outs, sources, seeds, allow_unused=True, retain_graph=True)
            found = {
                id(source): grad.numpy()
                for source, grad in zip(sources, grads, strict=True)
                if grad is not None
            }
        return Gradients(
            [found.get(id(tensor)) for tensor in self._given],
            [found.get(id(tensor)) for tensor in self._learned],
        )

    def magnitudes(self, top_diffs: Sequence[np.ndarray]) -> Gradients:
        """Returns the largest of some gradients from the same values under drawn signs."""
        random = np.random.default_rng(0)
        draws = [
            self.gradients(
                [np.asarray(diff * random.choice((-1, 1), diff.shape), np.float32) for diff in top_diffs]
            )
            for _ in range(_DRAWS)
        ]
        return Gradients(
            [_largest(each) for each in zip(*(draw.bottoms for draw in draws), strict=True)],
            [_largest(each) for each in zip(*(draw.learned for draw in draws), strict=True)],
        )


def _sizes(layer: NetLayer, bottoms: Sequence[np.ndarray]) -> list[float]:
    kept = [tensor.detach().clone() for tensor in layer.tensors]
    for tensor in layer.tensors:
        tensor.data.abs_()
    with torch.no_grad():
        made = _tuple(
            layer.module.forward(*(torch.from_numpy(np.asarray(np.abs(bottom))) for bottom in bottoms))
        )
    for tensor, values in zip(layer.tensors, kept, strict=True):
        tensor.data.copy_(values)
    return [float(top.abs().max()) if top.numel() else 0.0 for top in made]


def _tuple(made: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return made if isinstance(made, tuple) else (made,)


def _largest(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
    present = [np.abs(array) for array in arrays if array is not None]
    return np.max(present, axis=0) if present else None
