"""Permute: the axes in another order; SSD fork only.

`order` names an old axis for each new place; the axes that it leaves out follow in their old order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from caffeflow.errors import NetError
from caffeflow.layers.params import dims
from caffeflow.layers.spec import LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class PermuteParams:
    """The settings of Permute: the axes that come first."""

    order: tuple[int, ...]

    @classmethod
    def read(cls, layer: LayerParameter) -> PermuteParams:
        """Reads `permute_param`."""
        order = tuple(layer.permute_param.order)
        if len(set(order)) != len(order):
            raise NetError(f"order {list(order)} names an axis twice; each may occur once")
        return cls(order=order)

    def full_order(self, axes: int) -> tuple[int, ...]:
        """Returns the old axis at each new place.

        Raises:
            NetError: `order` names an axis that the bottom does not have.
        """
        for axis in self.order:
            if axis >= axes:
                raise NetError(f"order {list(self.order)} names axis {axis}, but the bottom has {axes} axes")
        return (*self.order, *(axis for axis in range(axes) if axis not in self.order))


def permute_shapes(params: PermuteParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns the bottom's sizes in the new order."""
    (bottom,) = bottoms
    if not bottom:
        raise NetError(f"the bottom must have axes; found {dims(bottom)}")
    return [tuple(bottom[axis] for axis in params.full_order(len(bottom)))]


register(LayerSpec(type="Permute", read=PermuteParams.read, shapes=permute_shapes))
