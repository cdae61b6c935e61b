"""The learned blobs of a net in one flat buffer, and their gradients in another.

The one rule to know: the blobs stay where they are for users (same shapes, same order), but each is a
view into `data`, and its gradient a view into `grad`. So an update is a few long vector operations
over segments of equal multipliers, and a distributed run reduces one tensor.

Inside the flat buffer blobs are grouped by their multipliers, and 4-D weights may lie in
channels_last order; `arrays` and `load` speak Caffe's order and shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from caffeflow.errors import WeightsError

_ALIGNMENT: Final = 16  # floats: 64 bytes, what vector units and oneDNN like best


@dataclass(frozen=True, kw_only=True)
class LearnedBlob:
    """One learned blob that a layer owns.

    Attributes:
        layer: The owner's name.
        index: Its place among the layer's blobs.
        name: What the layer's spec calls it, such as `weight`.
        lr_mult: Multiplies the learning rate.
        decay_mult: Multiplies the weight decay.
        tensors: The tensors that hold it: the owner's first, then those of layers that share it in
            another shape.
    """

    layer: str
    index: int
    name: str
    lr_mult: float
    decay_mult: float
    tensors: tuple[Tensor, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """The owner's shape, which is what files hold."""
        return tuple(self.tensors[0].shape)


@dataclass(frozen=True)
class Segment:
    """A stretch of the flat buffers with the same multipliers."""

    start: int
    stop: int
    lr_mult: float
    decay_mult: float


class FlatParameters:
    """Moves the learned blobs of a net into flat buffers.

    Args:
        blobs: In the order of Caffe's learnable params.
        device: Where the buffers live.
        channels_last: Keep 4-D weights in the order that channels_last convolutions read fastest.
    """

    def __init__(
        self, blobs: Sequence[LearnedBlob], *, device: torch.device, channels_last: bool = False
    ) -> None:
        self.blobs: Final = tuple(blobs)
        self.segments: Final[tuple[Segment, ...]] = tuple(self._lay_out())
        size = self.segments[-1].stop if self.segments else 0
        self.data: Final = torch.zeros(size, device=device)
        self.grad: Final = torch.zeros(size, device=device)
        self._channels_last: Final = channels_last
        for blob, data, grad in zip(self.blobs, self.views(self.data), self.views(self.grad), strict=True):
            data.copy_(blob.tensors[0].detach())
            for tensor in blob.tensors:
                tensor.data = _in_shape(data, tensor.shape)
                if tensor.requires_grad:
                    tensor.grad = _in_shape(grad, tensor.shape)

    def views(self, flat: Tensor) -> list[Tensor]:
        """Returns each blob's part of a flat buffer, in Caffe's order and shapes."""
        return [
            _view(flat, start, blob.shape, channels_last=self._channels_last and len(blob.tensors) == 1)
            for blob, start in zip(self.blobs, self._starts, strict=True)
        ]

    def arrays(self, flat: Tensor) -> list[NDArray[np.float32]]:
        """Returns copies of each blob's part of a flat buffer, in Caffe's order and shapes."""
        return [np.array(view.cpu().numpy(), order="C") for view in self.views(flat)]

    def load(self, flat: Tensor, arrays: Sequence[NDArray[np.float32]]) -> None:
        """Fills a flat buffer with one array a blob; only the counts must agree, as in Caffe.

        Raises:
            WeightsError: An array has another count than its blob.
        """
        for blob, view, array in zip(self.blobs, self.views(flat), arrays, strict=True):
            if array.size != view.numel():
                raise WeightsError(
                    f"layer '{blob.layer}': the history of blob {blob.index} ({blob.name}) has {array.size}"
                    f" values, the net wants {view.numel()}; the solverstate belongs to another net"
                )
            view.copy_(torch.from_numpy(np.ascontiguousarray(array)).view(view.shape))

    def _lay_out(self) -> list[Segment]:
        groups: dict[tuple[float, float], list[int]] = {}
        for place, blob in enumerate(self.blobs):
            groups.setdefault((blob.lr_mult, blob.decay_mult), []).append(place)
        self._starts = [0] * len(self.blobs)
        segments, offset = [], 0
        for (lr_mult, decay_mult), places in groups.items():
            begin = offset
            for place in places:
                self._starts[place] = offset
                offset += -(-self.blobs[place].tensors[0].numel() // _ALIGNMENT) * _ALIGNMENT
            segments.append(Segment(begin, offset, lr_mult, decay_mult))
        return segments


def _in_shape(view: Tensor, shape: torch.Size) -> Tensor:
    # Viewing in the same shape would lose the channels_last strides of an axis of size 1.
    return view if view.shape == shape else view.view(shape)


def _view(flat: Tensor, start: int, shape: tuple[int, ...], *, channels_last: bool) -> Tensor:
    count = int(np.prod(shape, dtype=np.int64))
    part = flat[start : start + count]
    if channels_last and len(shape) == 4:
        out, into, height, width = shape
        return part.view(out, height, width, into).permute(0, 3, 1, 2)
    return part.view(shape)
