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

_OF_A_CLASS: Final = ("_train", "_val", "_trainval", "_test")  # VOC has eighty of these


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
        UsageError: A set or an edition is not there, or none is called as usual.
    """
    parts: list[Part] = []
    if not train_sets and not val_sets:
        parts += [Part(edition.split, edition, ALL) for edition in editions if edition.split is not None]
    editions = [edition for edition in editions if edition.split is None]
    has_test = any(_is_tested(edition) for edition in editions)
    if train_sets:
        parts += [part for spec in train_sets for part in _named("train", spec, editions)]
    else:
        is_val_free = all(spec.rpartition(":")[2] != "val" for spec in val_sets) if val_sets else has_test
        parts += [Part("train", each, name) for each in editions for name in _train_sets(each, is_val_free)]
    if val_sets:
        parts += [part for spec in val_sets for part in _named("val", spec, editions)]
    elif not train_sets:
        name = "test" if has_test else "val"
        parts += [
            Part("val", each, name) for each in editions if name in each.sets and each.is_annotated(name)
        ]
    if not parts:
        raise UsageError(
            "no image set is called train, val, trainval or test; choose with --train-sets from: "
            f"{_known(editions)}"
        )
    return parts


def _is_tested(edition: Edition) -> bool:
    return "test" in edition.sets and edition.is_annotated("test")


def _train_sets(edition: Edition, is_val_free: bool) -> list[str]:
    """Returns the sets to learn from; val among them where it is not wanted for testing."""
    if not edition.sets:
        return [ALL]
    if is_val_free and "trainval" in edition.sets:
        return ["trainval"]
    wanted = ("train", "val") if is_val_free else ("train",)
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
        raise UsageError(
            f"--{split}-sets {spec}: there is no such image set; there are: {_known(editions) or 'none'}"
        )
    for edition in found:
        yield Part(split, edition, name)


def _known(editions: Sequence[Edition]) -> str:
    return ", ".join(
        f"{edition.name}:{name}"
        for edition in editions
        for name in edition.sets
        if not name.endswith(_OF_A_CLASS)
    )
