"""What a PyTorch net is among the nets that render knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape]

NORM_KEYS: Final = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Part:
    """A convolution or fully connected layer with its BatchNorm, here and there.

    Attributes:
        layer: The layer's name; the BatchNorm and Scale behind it are found in the net's graph.
        weights: What its keys begin with, without the last dot.
        norm: The same of its BatchNorm; empty if it has none.
        is_head: Whether it belongs to the classifier, which people replace.
        has_bias: Whether it has a bias there.
    """

    layer: str
    weights: str
    norm: str = ""
    is_head: bool = False
    has_bias: bool = False

    @property
    def weight_keys(self) -> tuple[str, ...]:
        """The keys of its weight and bias."""
        return tuple(f"{self.weights}.{name}" for name in ("weight", "bias")[: 1 + self.has_bias])

    @property
    def norm_keys(self) -> tuple[str, ...]:
        """The keys of its BatchNorm: factor, shift, mean, variance."""
        return tuple(f"{self.norm}.{name}" for name in NORM_KEYS) if self.norm else ()

    @property
    def keys(self) -> tuple[str, ...]:
        """All its keys."""
        return (*self.weight_keys, *self.norm_keys)


@dataclass(frozen=True, kw_only=True)
class Counterpart:
    """The net of the catalogue that computes what a PyTorch net does.

    Attributes:
        torch_name: What torchvision calls that one.
        net: The catalogue's name.
        variant: Its variant, or an empty string if it has none.
        parts: From the input to the output; the first sees the pixels.
        trunk: What the keys of all that is no classifier begin with.
        variables: What the file's shapes say of the net's variables, as text.
        required: Values of variables with which the net computes the same; shapes would not tell.
        classes_key: The weight whose rows are the classes.
        refused: Why there is no such net here; empty if there is.
    """

    torch_name: str
    net: str
    variant: str = ""
    parts: tuple[Part, ...]
    trunk: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    required: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    classes_key: str
    refused: str = ""

    @property
    def label(self) -> str:
        """The net as users name it."""
        return f"{self.net}:{self.variant}" if self.variant else self.net

    @property
    def keys(self) -> Iterator[str]:
        """All keys of its parts."""
        return (key for part in self.parts for key in part.keys)


@dataclass(frozen=True, kw_only=True)
class Family:
    """Nets that are told apart by their shapes.

    Attributes:
        nets: The catalogue's names for them.
        torch_names: What torchvision calls those that can be imported.
        plan: Returns what a file with these shapes is, if it is one of the family at all.
    """

    nets: tuple[str, ...]
    torch_names: tuple[str, ...]
    plan: Callable[[Shapes], Counterpart]


def rows_of(shapes: Shapes, key: str) -> int:
    """Returns the first axis of a tensor; 0 if there is none."""
    shape = shapes.get(key, ())
    return shape[0] if shape else 0
