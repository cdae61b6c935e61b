"""Variables of the templates: how one is declared, and how a value given for it is read and checked.

A variable is declared in a `.toml` file beside the templates, with its type, the values it may take
and a line of help. Its default comes from there too, or from the net's recipe, the variant or the
dataset; `caffeflow.render.resolve` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from caffeflow.errors import TemplateError, suggestion

# `auto` stands for "worked out from other variables and the dataset".
AUTO: Final = "auto"


@dataclass(frozen=True, kw_only=True)
class Variable:
    """A declared variable.

    Attributes:
        name: Group and name, such as `net.width`.
        type: One of `TYPES`.
        help: One line that says what it does.
        default: The value if nothing else gives one; AUTO if it is worked out.
        source: Where the default comes from (a paper, a file, a rule).
        allowed: The values it may take; empty for any of the type.
        minimum: The smallest value (of each element, for lists).
        count: How many elements a list has; 0 for any number.
        option: The command-line option that sets it, or an empty string.
    """

    name: str
    type: str
    help: str
    default: Any
    source: str
    allowed: tuple[Any, ...] = ()
    minimum: float | None = None
    count: int = 0
    option: str = ""

    def parse(self, text: str) -> Any:
        """Reads a value that a user gave as text.

        Raises:
            TemplateError: The text is not of the variable's type, or not allowed.
        """
        if text == AUTO and self.default == AUTO:
            return AUTO
        reader, expected = TYPES[self.type]
        try:
            value = reader(text)
        except ValueError:
            raise TemplateError(f"{self.name}: '{text}' is not {expected}") from None
        if self.type == "str":
            value = {str(each).casefold(): each for each in self.allowed}.get(value.casefold(), value)
        return self.check(value)

    def check(self, value: Any) -> Any:
        """Returns a value if it is allowed.

        Raises:
            TemplateError: It is too small or short, or not among the allowed values.
        """
        if self.count and len(value) != self.count:
            raise TemplateError(f"{self.name}: expected {self.count} numbers, found {len(value)}")
        if self.allowed and value not in self.allowed:
            known = ", ".join(str(each) for each in self.allowed)
            near = suggestion(value, self.allowed) if self.type == "str" else ""
            raise TemplateError(f"{self.name}: '{value}' is not allowed; expected one of {known}{near}")
        if self.minimum is not None:
            elements = value if isinstance(value, tuple) else (value,)
            for each in elements:
                if not isinstance(each, str) and each < self.minimum:
                    raise TemplateError(
                        f"{self.name}: {each} is too small; expected at least {self.minimum:g}"
                    )
        return value


def find_variable(name: str, declared: Iterable[Variable], *, net: str) -> Variable:
    """Returns the variable of a full name (`net.width`) or of its last part, if that is unique.

    Raises:
        TemplateError: There is none, or there are several.
    """
    known = {variable.name: variable for variable in declared}
    if name in known:
        return known[name]
    same_end = [full for full in known if full.partition(".")[2] == name]
    if len(same_end) == 1:
        return known[same_end[0]]
    if same_end:
        raise TemplateError(f"variable '{name}' could be {' or '.join(same_end)}; write the whole name")
    hint = suggestion(name, known) or suggestion(name, [full.partition(".")[2] for full in known])
    advice = hint or f"; see: caffeflow render {net} --show"
    raise TemplateError(f"net '{net}' has no variable '{name}'{advice}")


def _read_bool(text: str) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]


def _read_size(text: str) -> tuple[int, int]:
    height, by, width = text.lower().partition("x")
    return int(height), int(width if by else height)


def _read_list(read: Callable[[str], Any]) -> Callable[[str], tuple[Any, ...]]:
    return lambda text: tuple(read(part) for part in text.split(",")) if text else ()


TYPES: Final[Mapping[str, tuple[Callable[[str], Any], str]]] = {
    "int": (int, "a whole number"),
    "float": (float, "a number"),
    "bool": (_read_bool, "true or false"),
    "str": (str, "a text"),
    "ints": (_read_list(int), "a list of whole numbers such as 1,2,2"),
    "floats": (_read_list(float), "a list of numbers such as 0.5,1"),
    "size": (_read_size, "a size such as 224 or 96x160 (height x width)"),
}


def from_toml(kind: str, value: Any) -> Any:
    """Returns a value of a `.toml` file in the form that `parse` gives: lists and sizes as tuples."""
    if value == AUTO:
        return AUTO
    if kind == "size":
        return (value, value) if isinstance(value, int) else tuple(value)
    if kind in ("ints", "floats"):
        return tuple(value) if isinstance(value, list) else (value,)
    return float(value) if kind == "float" else value
