"""`tf_pad` of Convolution in chuanqi305's SSD fork: TensorFlow's padding, as far as that fork has it.

Where it surprises:
  * the field's default is SAME, but only a field that is written changes anything;
  * VALID means pad 0, whatever pad says;
  * SAME still needs `pad`: the output size is counted with it on both sides, and what TensorFlow would add
    for that size replaces it: all at the end if that is one pixel, otherwise on both sides as much as
    TensorFlow adds at the end (for 3 in all, TensorFlow has 1 and 2, the fork 2 and 2);
  * the fork counts anew at each forward, now with the replaced pad. With an odd kernel k, pad (k-1)/2 and
    stride 1 or 2 that changes nothing; where it would change the output size, the net is refused here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from caffeflow.errors import NetError
from caffeflow.proto.caffe_pb2 import ConvolutionParameter, LayerParameter

TfPad = Literal["SAME", "VALID"]

_NAMES: Final[dict[int, TfPad]] = {ConvolutionParameter.SAME: "SAME", ConvolutionParameter.VALID: "VALID"}


@dataclass(frozen=True)
class Window:
    """A convolution along one axis: kernel, stride and dilation."""

    kernel: int
    stride: int
    dilation: int

    @property
    def extent(self) -> int:
        """How many elements lie from the kernel's first to its last."""
        return self.dilation * (self.kernel - 1) + 1


def read_tf_pad(layer: LayerParameter) -> TfPad | None:
    """Returns the padding method, or None where the layer does not write one.

    Raises:
        NetError: The layer is one that the fork's method does not reach.
    """
    param = layer.convolution_param
    if not param.HasField("tf_pad"):
        return None
    if layer.type != "Convolution":
        raise NetError(
            f"tf_pad is for layers of type Convolution, not {layer.type}; write the padding as pad"
        )
    if param.force_nd_im2col:
        raise NetError("tf_pad has no effect with force_nd_im2col; remove one of them")
    return _NAMES[param.tf_pad]


def same_padding(size: int, window: Window, *, pad: int, axis: int) -> tuple[int, int]:
    """Returns how many zeros stand before and after an axis.

    Args:
        size: The bottom's size along the axis.
        window: What slides over it.
        pad: The layer's own pad.
        axis: Its number, for messages.

    Raises:
        NetError: The output size would change from one forward to the next.
    """
    outputs = _outputs(size, window, pad)
    needed = (outputs - 1) * window.stride + window.kernel - size  # Caffe: does not count the dilation
    before = int(needed / 2)
    after = needed - before
    if after < 0 or _outputs(size, window, after) != outputs:
        raise NetError(
            f"tf_pad SAME with pad {pad} does not hold along axis {axis}, of {size} (kernel {window.kernel},"
            f" stride {window.stride}): it makes {outputs} outputs at first, and another number afterwards;"
            " write pad (k-1)/2 for an odd kernel k, or leave tf_pad out"
        )
    return (after if before else 0), after


def _outputs(size: int, window: Window, pad: int) -> int:
    return (size + 2 * pad - window.extent) // window.stride + 1
