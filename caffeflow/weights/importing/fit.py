"""What of a file does not fit the net that it is to become.

The one rule to know: everything up to the classifier must be there, in the right shape, and nothing
more; the classifier may be missing (people replace it), but if it is there it must fit too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from caffeflow.errors import WeightsError
from caffeflow.layers.inference import LayerFacts
from caffeflow.weights.importing.counterpart import Counterpart, Part, Shape, Shapes
from caffeflow.weights.importing.recognise import COUNTER

_SHOWN: Final = 6


@dataclass(frozen=True)
class Misfit:
    """A key whose tensor is not what the net wants; empty: there is none, or none is wanted."""

    key: str
    expected: str
    found: str


def misfits(counterpart: Counterpart, shapes: Shapes, facts: Mapping[str, LayerFacts]) -> list[Misfit]:
    """Returns what does not fit, in the net's order, then what is too much.

    Args:
        counterpart: The net and its keys.
        shapes: The file's.
        facts: The net's layers by name.
    """
    found = [each for part in counterpart.parts for each in _of_part(part, shapes, facts[part.layer])]
    known = set(counterpart.keys)
    too_much = [
        Misfit(key, "", by(shape))
        for key, shape in shapes.items()
        if key not in known and key.startswith(counterpart.trunk) and not key.endswith(COUNTER)
    ]
    return found + too_much


def is_missing_head(part: Part, shapes: Shapes) -> bool:
    """Whether a part belongs to a classifier that the file does not have."""
    return part.is_head and part.weight_keys[0] not in shapes


def refuse(counterpart: Counterpart, found: Sequence[Misfit]) -> WeightsError:
    """Returns the error that says what does not fit, as a table."""
    shown = found[:_SHOWN]
    rows = [("key", "expected", "found")]
    rows += [(each.key, each.expected or "no such key", each.found or "missing") for each in shown]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    table = "\n".join(f"  {key:{widths[0]}}  {here:{widths[1]}}  {there}" for key, here, there in rows)
    more = f"\n  and {len(found) - len(shown)} more" if len(found) > len(shown) else ""
    return WeightsError(
        f"{len(found)} keys are not those of {counterpart.torch_name}, which becomes {counterpart.label};"
        f" give the weights of that net, or rename keys with --map OLD=NEW:\n{table}{more}"
    )


def by(shape: Shape) -> str:
    """Returns a shape as PyTorch's users read it."""
    return "x".join(map(str, shape)) or "one value"


def _of_part(part: Part, shapes: Shapes, facts: LayerFacts) -> Iterator[Misfit]:
    if is_missing_head(part, shapes):
        return
    outputs = facts.blobs[0].shape[0]
    wanted = [facts.blobs[0].shape, (outputs,)]
    for key, shape in zip(part.weight_keys, wanted, strict=False):
        yield from _of_key(key, shape, shapes)
    for key in part.norm_keys:
        yield from _of_key(key, (outputs,), shapes)


def _of_key(key: str, wanted: Shape, shapes: Shapes) -> Iterator[Misfit]:
    found = shapes.get(key)
    # A fully connected layer may be a 1x1 convolution here.
    if found is None or _without_last_ones(found) != _without_last_ones(wanted):
        yield Misfit(key, by(wanted), by(found) if found is not None else "")


def _without_last_ones(shape: Shape) -> Shape:
    while len(shape) > 2 and shape[-1] == 1:
        shape = shape[:-1]
    return shape
