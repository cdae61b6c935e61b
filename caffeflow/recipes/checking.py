"""What may stand in a recipe's file: each key with a rule for its value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from caffeflow.errors import TemplateError, suggestion

Rule = tuple[Callable[[Any], bool], str]

_LARGEST: Final = 1e18  # TOML has whole numbers of any length, which nothing here can count with


def is_number(value: Any) -> bool:
    """Whether a value of TOML is a number that can be counted with; true and nan are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _one_of(*known: str) -> Rule:
    return (lambda value: value in known), f"one of {', '.join(known)}"


def _within(low: float, high: float) -> Rule:
    return (lambda value: is_number(value) and low <= value <= high), f"a number from {low:g} to {high:g}"


def _is_rising(values: Any) -> bool:
    is_list = isinstance(values, list) and bool(values) and all(map(is_number, values))
    return is_list and all(a < b for a, b in zip([0, *values], values, strict=False))


def _is_scale(values: Any) -> bool:
    is_list = isinstance(values, list) and len(values) == 2 and all(map(is_number, values))
    return is_list and 0 < values[0] <= values[1] <= 1


_TEXT: Final[Rule] = ((lambda value: isinstance(value, str) and bool(value)), "a text")
_TEXTS: Final[Rule] = (
    (lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value)),
    "a list of texts",
)
_POSITIVE: Final[Rule] = ((lambda value: is_number(value) and value > 0), "a number above 0")
_TABLE: Final[Rule] = ((lambda value: isinstance(value, dict)), "a table")
_PERCENT: Final[Rule] = _within(0, 100)

KEYS: Final[Mapping[str, Rule]] = {
    "net": _TEXT, "net_name": _TEXT, "variant": _TEXT, "dataset": _one_of("imagenet", "cifar10", "cifar100"),
    "epochs": _POSITIVE, "step_epochs": (_is_rising, "a list of rising numbers above 0"),
    "source": _TEXT, "notes": _TEXTS, "expected": _TABLE, "variables": _TABLE, "train": _TABLE,
}  # fmt: skip
EXPECTED: Final[Mapping[str, Rule]] = {
    "top1": _PERCENT, "top5": _PERCENT, "data": _TEXT, "source": _TEXT, "of": _TEXT,
}  # fmt: skip
OPTIONS: Final[Mapping[str, Rule]] = {
    "lr_policy": _one_of("cosine"),
    "warmup_epochs": _POSITIVE,
    "label_smoothing": ((lambda value: is_number(value) and 0 <= value < 1), "a number from 0 to below 1"),
    "augment": _one_of("crop", "inception"),
    "rand_scale": (_is_scale, "two shares of a picture, the smaller one first, above 0 and up to 1"),
    "color_jitter": ((lambda value: is_number(value) and 0 < value <= 1), "a number above 0 and up to 1"),
}
TABLES: Final[Mapping[str, Rule]] = dict.fromkeys(("net", "data", "solver"), _TABLE)


class Table:
    """A table of a recipe's file whose keys and values were looked at.

    Args:
        path: The file.
        prefix: What stands before its keys in messages.
        values: As read.
        rules: What each key may be.
    """

    def __init__(self, path: Path, prefix: str, values: Mapping[str, Any], rules: Mapping[str, Rule]) -> None:
        self.values: Final = values
        self._path: Final = path
        self._prefix: Final = prefix
        for key, value in values.items():
            if key not in rules:
                hint = suggestion(key, rules) or f"; there are {', '.join(rules)}"
                raise self.error(key, f"unknown key{hint}")
            is_good, expected = rules[key]
            if not is_good(value):
                raise self.error(key, f"{value!r} is not {expected}")

    def __getitem__(self, key: str) -> Any:
        if key not in self.values:
            raise self.error(key, "is missing")
        return self.values[key]

    def get(self, key: str, default: Any = None) -> Any:
        """Returns a value, or what stands for it."""
        return self.values.get(key, default)

    def table(self, key: str, rules: Mapping[str, Rule]) -> Table:
        """Returns a table within this one; an empty one where there is none."""
        return Table(self._path, f"{key}.", self.values.get(key, {}), rules)

    def error(self, key: str, what: str) -> TemplateError:
        """Returns an error about a key."""
        return TemplateError(f"{self._path}: {self._prefix}{key}: {what}")
