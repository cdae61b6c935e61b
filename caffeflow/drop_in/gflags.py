"""Command lines as gflags reads them, with its messages.

One dash or two, `-flag=value` or `-flag value`; a bool stands alone, as `-flag` or `-noflag`, or takes
its value behind `=` only. Flags and words may be mixed, the last of two equal flags counts, and `--` ends
the flags. All that is wrong is told at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

Value = str | int | bool

_TRUE: Final = frozenset({"1", "t", "true", "y", "yes"})
_FALSE: Final = frozenset({"0", "f", "false", "n", "no"})
_INT32: Final = re.compile(r"\s*[+-]?(0[xX][0-9a-fA-F]{1,20}|[0-9]{1,20})")
_INT32_RANGE: Final = range(-(2**31), 2**31)
_DEEPEST: Final = 20  # flag files that name each other

Kind = Literal["string", "int32", "bool"]


@dataclass(frozen=True)
class Flag:
    """A flag that is known.

    Attributes:
        name: Without dashes.
        default: Its value if it is not given; says the type, too.
        help: What it is for.
        home: Which part of the program it belongs to, for `-help`.
        works: False for a flag that is taken and then has no effect.
    """

    name: str
    default: Value
    help: str
    home: str
    works: bool = True

    @property
    def kind(self) -> Kind:
        """What its values are."""
        if isinstance(self.default, bool):
            return "bool"
        return "int32" if isinstance(self.default, int) else "string"


@dataclass(frozen=True)
class CommandLine:
    """A command line as read.

    Attributes:
        values: Every known flag's value.
        given: The flags that were on the line or in a flag file.
        words: What is no flag.
    """

    values: Mapping[str, Value]
    given: frozenset[str]
    words: tuple[str, ...]

    def text(self, name: str) -> str:
        """Returns a string flag's value."""
        return str(self.values[name])

    def number(self, name: str) -> int:
        """Returns an int32 flag's value."""
        return int(self.values[name])

    def switch(self, name: str) -> bool:
        """Returns a bool flag's value."""
        return bool(self.values[name])


class FlagsError(Exception):
    """A command line that gflags would refuse.

    Args:
        messages: What is wrong, a line each.
    """

    def __init__(self, messages: Sequence[str]) -> None:
        super().__init__("\n".join(messages))
        self.messages = tuple(messages)


def read_command_line(words: Sequence[str], flags: Mapping[str, Flag]) -> CommandLine:
    """Returns what a command line says.

    Args:
        words: Without the program's name.
        flags: The flags that are known, by name; one called `flagfile` names files with more of them.

    Raises:
        FlagsError: Unknown flags, values that do not fit, or a value that is missing.
    """
    reading = _Reading(flags)
    reading.read(words)
    if reading.errors:
        # gflags: told in the order of the flags' names.
        raise FlagsError([reading.errors[name] for name in sorted(reading.errors)])
    values = {name: reading.values.get(name, flag.default) for name, flag in flags.items()}
    return CommandLine(values, frozenset(reading.values), tuple(reading.words))


@dataclass
class _Reading:
    """What was read of a command line so far."""

    flags: Mapping[str, Flag]
    values: dict[str, Value] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)

    def read(self, words: Sequence[str], *, depth: int = 0) -> None:
        """Reads words one by one."""
        rest = iter(words)
        for word in rest:
            if word == "--":
                self.words += rest
            elif word.startswith("-") and word != "-":
                self._flag(word, rest, depth)
            else:
                self.words.append(word)

    def _flag(self, word: str, rest: Iterator[str], depth: int) -> None:
        name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
        flag = self._find(name)
        if flag is None:
            self._negated(name)
            return
        if not equals:
            following = "1" if flag.kind == "bool" else next(rest, None)
            if following is None:
                self.errors[flag.name] = (
                    f"flag '{word}' is missing its argument; flag description: {flag.help}"
                )
                return
            value = following
        self._set(flag, value, depth)

    def _find(self, name: str) -> Flag | None:
        return self.flags.get(name) or self.flags.get(name.replace("-", "_"))

    def _negated(self, name: str) -> None:
        """Takes `-noflag`, or says that there is no such flag."""
        flag = self._find(name[2:]) if name.startswith("no") else None
        if flag is None:
            self.errors[name] = f"unknown command line flag '{name}'"
        elif flag.kind != "bool":
            self.errors[name] = f"boolean value ({name}) specified for {flag.kind} command line flag"
        else:
            self.values[flag.name] = False

    def _set(self, flag: Flag, text: str, depth: int) -> None:
        value = _parse(flag.kind, text)
        if value is None:
            self.errors[flag.name] = f"illegal value '{text}' specified for {flag.kind} flag '{flag.name}'"
            return
        self.values[flag.name] = value
        if flag.name == "flagfile":
            for path in filter(None, text.split(",")):
                self._read_file(Path(path), depth + 1)

    def _read_file(self, path: Path, depth: int) -> None:
        if depth > _DEEPEST:
            self.errors["flagfile"] = f"flag files name each other without end, at '{path}'"
            return
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, ValueError) as error:  # ValueError: no text, or no name of a file
            self.errors["flagfile"] = f"flag file '{path}' cannot be read: {error}"
            return
        # gflags: one flag a line, with its value behind `=`; other lines are passed over.
        self.read([line.strip() for line in lines if line.strip().startswith("-")], depth=depth)


def _parse(kind: Kind, text: str) -> Value | None:
    if kind == "string":
        return text
    if kind == "bool":
        lower = text.lower()
        return True if lower in _TRUE else False if lower in _FALSE else None
    if not _INT32.fullmatch(text):
        return None
    digits = text.strip().lower()
    number = int(digits, 16 if "0x" in digits else 10)
    return number if number in _INT32_RANGE else None
