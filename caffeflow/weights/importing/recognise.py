"""Which net a file's keys are of.

The one rule to know: a net is chosen by the share of keys that it and the file have in common, so that
a replaced classifier does no harm; what does not fit in detail is then said by `fit`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from caffeflow.weights.importing import mobilenet_v2, regnet, resnet, vgg
from caffeflow.weights.importing.counterpart import Counterpart, Family, Shapes

FAMILIES: Final[tuple[Family, ...]] = (vgg.FAMILY, resnet.FAMILY, mobilenet_v2.FAMILY, regnet.FAMILY)
# Below this share of common keys a file is of no family; other nets' keys have next to none in common.
_LEAST: Final = 0.3
# A counter that PyTorch keeps beside every BatchNorm's statistics, and that nothing here needs.
COUNTER: Final = ".num_batches_tracked"


@dataclass(frozen=True)
class Likeness:
    """A net that a file may be of, and the share of keys that both have."""

    counterpart: Counterpart
    share: float

    @property
    def is_likely(self) -> bool:
        """Whether the file's keys are mostly that net's."""
        return self.share >= _LEAST


def recognise(shapes: Shapes) -> Likeness:
    """Returns the net that a file's keys are most like."""
    return max((likeness(family, shapes) for family in FAMILIES), key=lambda each: each.share)


def likeness(family: Family, shapes: Shapes) -> Likeness:
    """Returns what a file would be in a family, and how much of it is there."""
    counterpart = family.plan(shapes)
    here = set(counterpart.keys)
    there = {key for key in shapes if not key.endswith(COUNTER)}
    return Likeness(counterpart, len(here & there) / len(here | there))


def find_family(net: str) -> Family | None:
    """Returns the family of one of the catalogue's nets, or None if PyTorch has no counterpart of it."""
    return next((family for family in FAMILIES if net in family.nets), None)


def importable() -> Iterable[tuple[str, str]]:
    """Yields what can be imported: torchvision's name and the net that it becomes."""
    for family in FAMILIES:
        nets = family.nets if len(family.nets) > 1 else family.nets * len(family.torch_names)
        yield from zip(family.torch_names, nets, strict=True)
