"""What a recipe says, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Result:
    """A published result in percent.

    Attributes:
        data: On which images, and how they were cropped.
        source: Who says so.
        of: The net that it was published for, where that is another; empty: the recipe's own.
    """

    data: str
    source: str
    top1: float
    top5: float | None = None
    of: str = ""

    @property
    def words(self) -> str:
        """The figures; of another net's, that they are."""
        figures = " / ".join(f"{top:g}" for top in (self.top1, self.top5) if top is not None)
        return f"none published (nearest: {figures} of {self.of})" if self.of else figures


@dataclass(frozen=True, kw_only=True)
class RecipeData:
    """The dataset of a recipe as published; it stands in until one is given.

    Attributes:
        prepare: The command that makes it.
        train: Training images.
        val: Test images.
    """

    name: str
    prepare: str
    channels: int
    height: int
    width: int
    classes: int
    train: int
    val: int


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What training takes beside the solver; each as the option of `train` with that name, or not at all."""

    lr_policy: Literal["cosine"] | None = None
    warmup_epochs: float = 0.0
    label_smoothing: float | None = None
    augment: Literal["crop", "inception"] | None = None
    rand_scale: tuple[float, float] | None = None
    color_jitter: float | None = None

    @property
    def words(self) -> tuple[str, ...]:
        """What a user would type for them; a warm-up in epochs."""
        found = []
        if self.augment:
            found.append(f"--augment {self.augment}")
        if self.rand_scale:
            found.append("--rand-scale {:g} {:g}".format(*self.rand_scale))
        if self.color_jitter:
            found.append(f"--color-jitter {self.color_jitter:g}")
        if self.label_smoothing:
            found.append(f"--label-smoothing {self.label_smoothing:g}")
        if self.lr_policy:
            found.append(f"--lr-policy {self.lr_policy}")
        if self.warmup_epochs:
            plural = "" if self.warmup_epochs == 1 else "s"
            found.append(f"--warmup for {self.warmup_epochs:g} epoch{plural}")
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A recipe as its file has it.

    Attributes:
        name: What `--recipe` takes: the dataset's name, or for a file of the user's its path.
        path: The file.
        net: The net as `render` calls it.
        net_name: The net's `name` in its prototxts, by which `train` knows it.
        variant: The net's variant, or an empty text.
        data: What it was made for.
        epochs: Passes over the training images.
        step_epochs: After how many the rate steps; for lr_policy step the distance of two steps.
        source: Where its numbers come from.
        notes: What is not as there, and what else is to be known, a sentence each.
        expected: The published result, if one is known.
        variables: Full name of a variable to its value, as the file has it.
        options: What training takes beside the solver.
    """

    name: str
    path: Path
    net: str
    net_name: str
    variant: str = ""
    data: RecipeData
    epochs: float
    step_epochs: tuple[float, ...] = ()
    source: str
    notes: tuple[str, ...] = ()
    expected: Result | None = None
    variables: Mapping[str, Any] = field(default_factory=dict)
    options: TrainOptions = TrainOptions()

    def warmup(self, max_iter: int) -> int:
        """Returns the iterations of its warm-up in a training of so many; they never are all of them."""
        return min(round(max_iter * self.options.warmup_epochs / self.epochs), max(max_iter - 1, 0))
