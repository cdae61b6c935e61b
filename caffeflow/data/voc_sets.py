"""Which image sets of which editions become train and val.

Without a word from the user: where a test set with boxes is at hand (VOC2007's), it is val, and all trainval
sets are train, as in SSD's VOC0712; else each set is what it is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from caffeflow.data.sample import SplitName
from caffeflow.data.voc_devkit import Edition
from caffeflow.errors import UsageError

ALL: Final = "*"  # every image that has an annotation


@dataclass(frozen=True)
class Part:
    """An image set that goes into a split."""

    split: SplitName
    edition: Edition
    set_name: str

    def stems(self) -> list[str]:
        """Returns its images, by their names without suffix."""
        return (
            sorted(self.edition.annotations)
            if self.set_name == ALL
            else list(self.edition.stems(self.set_name))
        )


def choose_parts(
    editions: Sequence[Edition], *, train_sets: Sequence[str], val_sets: Sequence[str]
) -> list[Part]:
    """Returns the parts of both splits, train first; val may have none.

    Args:
        editions: What there is.
        train_sets: `SET` (of all editions that have it) or `EDITION:SET`; empty for the default.
        val_sets: The same.

    Raises:
        UsageError: A set or an edition is not there.
    """
    has_test = any(_is_tested(edition) for edition in editions)
    parts: list[Part] = []
    for edition in editions if not train_sets else ():
        parts += [Part("train", edition, name) for name in _train_sets(edition, has_test or bool(val_sets))]
    for edition in editions if not val_sets else ():
        name = "test" if has_test else "val"
        if not train_sets and name in edition.sets and edition.is_annotated(name):
            parts.append(Part("val", edition, name))
    parts += [part for spec in train_sets for part in _named("train", spec, editions)]
    parts += [part for spec in val_sets for part in _named("val", spec, editions)]
    return parts


def _is_tested(edition: Edition) -> bool:
    return "test" in edition.sets and edition.is_annotated("test")


def _train_sets(edition: Edition, with_val: bool) -> list[str]:
    """Returns the sets to learn from; with their val sets where those are not wanted for testing."""
    if not edition.sets:
        return [ALL]
    if with_val and "trainval" in edition.sets:
        return ["trainval"]
    wanted = ("train", "val") if with_val else ("train",)
    chosen = [name for name in wanted if name in edition.sets]
    if chosen:
        return chosen
    return ["trainval"] if "trainval" in edition.sets else []


def _named(split: SplitName, spec: str, editions: Sequence[Edition]) -> Iterator[Part]:
    """Yields the parts that `SET` or `EDITION:SET` means; an edition may be called by its end, `2007`."""
    which, colon, name = spec.rpartition(":")
    of_name = [edition for edition in editions if not colon or edition.name.endswith(which)]
    found = [edition for edition in of_name if name in edition.sets or name == ALL]
    if not found:
        known = ", ".join(f"{edition.name}:{each}" for edition in editions for each in edition.sets)
        raise UsageError(f"--{split}-sets {spec}: there is no such image set; there are: {known or 'none'}")
    for edition in found:
        yield Part(split, edition, name)
