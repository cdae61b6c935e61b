"""Arithmetic on each element: AbsVal, Power, Exp, Log and Threshold.

What is Caffe's own here:
  * a base of -1 stands for e;
  * Power whose scale or power is 0 is a constant, and has no gradient;
  * Threshold has no gradient, and AbsVal must not be in place.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from caffeflow.errors import NetError
from caffeflow.layers.spec import LayerSpec, no_params, register, same_shape
from caffeflow.proto.caffe_pb2 import LayerParameter


@dataclass(frozen=True, kw_only=True)
class PowerParams:
    """(shift + scale * x) ^ power."""

    power: float
    scale: float
    shift: float

    @classmethod
    def read(cls, layer: LayerParameter) -> PowerParams:
        """Reads `power_param`."""
        param = layer.power_param
        return cls(power=param.power, scale=param.scale, shift=param.shift)

    @property
    def constant(self) -> float | None:
        """The value of every element where it does not depend on x; else None."""
        if self.power == 0:
            return 1.0
        return math.pow(self.shift, self.power) if self.scale == 0 else None


@dataclass(frozen=True, kw_only=True)
class BaseParams:
    """The settings of Exp (base ^ (shift + scale * x)) and of Log (the logarithm of shift + scale * x).

    Attributes:
        log_of_base: The natural logarithm of the base.
    """

    log_of_base: float
    scale: float
    shift: float

    @classmethod
    def read_exp(cls, layer: LayerParameter) -> BaseParams:
        """Reads `exp_param`."""
        param = layer.exp_param
        return cls(log_of_base=_log_of(param.base), scale=param.scale, shift=param.shift)

    @classmethod
    def read_log(cls, layer: LayerParameter) -> BaseParams:
        """Reads `log_param`."""
        param = layer.log_param
        if param.base == 1:
            raise NetError("base is 1 in log_param; there is no logarithm to that base")
        return cls(log_of_base=_log_of(param.base), scale=param.scale, shift=param.shift)


def _log_of(base: float) -> float:
    if base == -1:
        return 1.0
    if base <= 0:
        raise NetError(f"base is {base:g}; it must be greater than 0, or -1 for e")
    return math.log(base)


@dataclass(frozen=True, kw_only=True)
class ThresholdParams:
    """The settings of Threshold."""

    threshold: float

    @classmethod
    def read(cls, layer: LayerParameter) -> ThresholdParams:
        """Reads `threshold_param`."""
        return cls(threshold=layer.threshold_param.threshold)


def _register(
    layer_type: str, read: Callable[[LayerParameter], Any], *, in_place: bool = True, note: str = ""
) -> None:
    register(LayerSpec(type=layer_type, read=read, shapes=same_shape, may_be_in_place=in_place, note=note))


_register("AbsVal", no_params, in_place=False)
_register("Exp", BaseParams.read_exp)
_register("Log", BaseParams.read_log)
_register("Power", PowerParams.read, note="where the base is 0 the gradient is the true one, not Caffe's NaN")
_register("Threshold", ThresholdParams.read)
