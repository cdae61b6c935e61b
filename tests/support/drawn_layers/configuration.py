"""One drawn configuration: a layer, what it is fed with, and the net that Caffe and the engine get.

Bottoms that are to get a gradient pass a layer that learns, a Bias of zero in place, or are asked for with
`propagate_down`; all tops are losses. So backward reaches the layer without `force_backward`, which Caffe's
label losses refuse.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.proto.text import format_message
from tests.support.drawn_layers.draw import Draw, Shape, Values, normal

Phase = Literal["TRAIN", "TEST"]


@dataclass(frozen=True, kw_only=True)
class Bottom:
    """What one bottom is.

    Attributes:
        shape: Its shape.
        values: Draws what it holds.
        gradient: It gets one.
    """

    shape: Shape
    values: Values = normal
    gradient: bool = True


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """One drawn layer.

    Attributes:
        layer: Its message without name, bottoms and tops; loss weights that it has are the top gradients.
        bottoms: What it is fed with.
        tops: How many tops it has.
        phase: The net's phase.
        in_place: The top overwrites the bottom.
        backward: It has a backward pass.
        asks_for_diffs: `propagate_down` asks for the bottoms' gradients, and nothing learns below.
        blobs: Values for learned blobs that fillers cannot give, by index.
        seed: Of the values, of Caffe's fillers and of the top gradients.
    """

    layer: LayerParameter
    bottoms: tuple[Bottom, ...]
    tops: int = 1
    phase: Phase = "TRAIN"
    in_place: bool = False
    backward: bool = True
    asks_for_diffs: bool = False
    blobs: tuple[np.ndarray, ...] = ()
    seed: int = 1

    @property
    def bottom_names(self) -> list[str]:
        """The names of the bottoms, which are net inputs."""
        return [f"bottom_{index}" for index in range(len(self.bottoms))]

    @property
    def top_names(self) -> list[str]:
        """The names of the tops."""
        return ["bottom_0"] if self.in_place else [f"top_{index}" for index in range(self.tops)]

    @property
    def keeps_loss_weights(self) -> bool:
        """Whether the top gradients are the layer's own loss weights, and not drawn."""
        return bool(self.layer.loss_weight)

    def inputs(self) -> dict[str, np.ndarray]:
        """Returns the bottoms' values, and those of learned blobs, the same ones every time."""
        random = np.random.default_rng(self.seed)
        values = {
            name: bottom.values(random, bottom.shape).astype(np.float32)
            for name, bottom in zip(self.bottom_names, self.bottoms, strict=True)
        }
        return values | {f"blob_{index}": blob.astype(np.float32) for index, blob in enumerate(self.blobs)}

    def text(self) -> str:
        """Returns the net."""
        layer = LayerParameter()
        layer.CopyFrom(self.layer)
        layer.name = "layer"
        layer.bottom[:] = self.bottom_names
        layer.top[:] = self.top_names
        if self.backward and not layer.loss_weight:
            layer.loss_weight[:] = [1.0] * self.tops
        if self.asks_for_diffs:
            layer.propagate_down[:] = [bottom.gradient for bottom in self.bottoms]
        indented = "\n".join(f"  {line}" for line in format_message(layer).splitlines())
        return "".join([*map(self._input, range(len(self.bottoms))), f"layer {{\n{indented}\n}}\n"])

    def _input(self, index: int) -> str:
        bottom, name = self.bottoms[index], self.bottom_names[index]
        dims = " ".join(f"dim: {dim}" for dim in bottom.shape)
        fed = f'layer {{ name: "in_{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'
        learns = (
            f'layer {{ name: "learns_{name}" type: "Bias" bottom: "{name}" top: "{name}"'
            " bias_param { axis: 0 num_axes: 0 } }\n"
        )
        return fed + (learns if bottom.gradient and self.backward and not self.asks_for_diffs else "")


Family = Callable[[Draw], Configuration]
"""Draws one configuration of a type."""


def drawn(layer_type: str, number: int, family: Family) -> Configuration:
    """Returns the configuration of a type and a number; words after the type tell families of it apart."""
    name = f"{layer_type}-{number}"
    configuration = family(Draw(name))
    configuration.layer.type = layer_type.split()[0]
    return replace(configuration, seed=zlib.crc32(name.encode()) % 100_000 + 1)


def one_bottom(shape: Shape, values: Values = normal) -> tuple[Bottom]:
    """Returns the bottoms of a layer that has one."""
    return (Bottom(shape=shape, values=values),)


def weigh(draw: Draw, layer: LayerParameter, tops: int = 1, share: float = 0.2) -> None:
    """Gives some layers loss weights of their own, which are then the top gradients."""
    if draw.chance(share):
        layer.loss_weight[:] = [draw.number(0.1, 3) for _ in range(tops)]


def cut_some(draw: Draw, layer: LayerParameter, bottoms: tuple[Bottom, ...], share: float = 0.15) -> None:
    """Stops gradients at some bottoms with `propagate_down`."""
    if len(bottoms) > 1 and draw.chance(share):
        layer.propagate_down[:] = [bottom.gradient and draw.chance() for bottom in bottoms]
