"""The smallest configuration that still fails: fields are dropped, sizes cut, bottoms and tops taken away.

All candidates of a round are asked at once, because starting the real Caffe costs more than running it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableSequence, Sequence
from dataclasses import replace
from math import prod
from typing import Final

from google.protobuf.message import Message

from caffeflow.proto.caffe_pb2 import LayerParameter
from tests.support.drawn_layers.configuration import Configuration

Fails = Callable[[Sequence[Configuration]], Sequence[float | None]]
"""Says of each configuration by how much it fails, or None: it agrees, or it cannot be run."""

ROUNDS: Final = 12


def smallest(
    found: Configuration, fails: Fails, *, rounds: int = ROUNDS
) -> tuple[Configuration, float | None]:
    """Returns the smallest failing configuration within some rounds, and by how much it fails."""
    (figure,) = fails([found])
    for _ in range(rounds):
        candidates = [each for each in smaller(found) if size(each) < size(found)]
        failing = [
            (each, by) for each, by in zip(candidates, fails(candidates), strict=True) if by is not None
        ]
        if not failing:
            break
        found, figure = min(failing, key=lambda pair: size(pair[0]))
    return found, figure


def size(configuration: Configuration) -> int:
    """Returns how large a configuration is to a reader: its text, and the numbers that go in."""
    return len(configuration.text()) + sum(prod(bottom.shape) for bottom in configuration.bottoms)


def smaller(configuration: Configuration) -> Iterator[Configuration]:
    """Yields all configurations that are one step smaller; many of them mean nothing."""
    for layer in _without_a_field(configuration.layer):
        yield replace(configuration, layer=layer)
    if configuration.in_place:
        yield replace(configuration, in_place=False)
    if configuration.blobs:
        yield replace(configuration, blobs=())
    if configuration.asks_for_diffs:
        yield replace(configuration, asks_for_diffs=False)
    yield from _with_fewer_blobs(configuration)
    yield from _with_smaller_shapes(configuration)


def _without_a_field(layer: LayerParameter) -> Iterator[LayerParameter]:
    for path in _paths(layer):
        made, message, name = _copied(layer, path)
        message.ClearField(name)
        yield made
        values = getattr(_copied(layer, path)[1], name)
        if isinstance(values, MutableSequence):
            for kept in range(1, len(values)):
                made, message, name = _copied(layer, path)
                del getattr(message, name)[kept:]
                yield made


def _copied(layer: LayerParameter, path: tuple[str, ...]) -> tuple[LayerParameter, Message, str]:
    """Returns a copy, the message in it that a path leads to, and the path's last name."""
    made = LayerParameter()
    made.CopyFrom(layer)
    message: Message = made
    for step in path[:-1]:
        message = getattr(message, step)
    return made, message, path[-1]


def _paths(message: Message, outer: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for field, value in message.ListFields():
        if not outer and field.name == "type":
            continue
        yield (*outer, field.name)
        if isinstance(value, Message):
            yield from _paths(value, (*outer, field.name))


def _with_fewer_blobs(configuration: Configuration) -> Iterator[Configuration]:
    bottoms, tops = configuration.bottoms, configuration.tops
    layer = LayerParameter()
    layer.CopyFrom(configuration.layer)
    del layer.loss_weight[1:]
    if tops > 1:
        yield replace(configuration, layer=layer, tops=1)
    if len(bottoms) > 1:
        layer.ClearField("propagate_down")
        for place in range(len(bottoms)):
            fewer = bottoms[:place] + bottoms[place + 1 :]
            yield replace(configuration, layer=layer, bottoms=fewer)
            yield replace(configuration, layer=layer, bottoms=fewer, tops=max(1, tops - 1))


def _with_smaller_shapes(configuration: Configuration) -> Iterator[Configuration]:
    bottoms = configuration.bottoms
    longest = max((len(bottom.shape) for bottom in bottoms), default=0)
    for dim in sorted({dim for bottom in bottoms for dim in bottom.shape if dim > 1}):
        for less in sorted({1, dim // 2, dim - 1}):
            for axes in [range(longest), *([axis] for axis in range(longest))]:
                yield replace(
                    configuration,
                    bottoms=tuple(
                        replace(bottom, shape=_cut(bottom.shape, dim, less, axes)) for bottom in bottoms
                    ),
                )


def _cut(shape: tuple[int, ...], dim: int, less: int, axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(less if size == dim and axis in axes else size for axis, size in enumerate(shape))
