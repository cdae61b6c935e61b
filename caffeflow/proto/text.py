"""Prototxt text: reading with the place of every error, and writing.

Text is parsed as strictly as Caffe does: an unknown field or enum value, or a single-valued field
given twice, is an error (semantics of protobuf's TextFormat, `util/io.cpp`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from google.protobuf import text_format
from google.protobuf.message import Message

from caffeflow.errors import NetError, suggestion
from caffeflow.proto import forks, legacy
from caffeflow.proto.caffe_pb2 import NetParameter, SolverParameter

M = TypeVar("M", bound=Message)

_UNKNOWN_FIELD: Final = re.compile(r'Message type "(?P<type>[\w.]+)" has no field named "(?P<field>\w+)"')
_LONGEST: Final = 400  # characters of a complaint: protobuf repeats the line, however long it is
_OTHER_FILES: Final[dict[str, tuple[str, type[Message]]]] = {
    "SolverParameter": ("net", NetParameter),
    "NetParameter": ("solver", SolverParameter),
}
_PLACE: Final = re.compile(r"^\d+:\d+ : ")
_TOKEN: Final = re.compile(
    r"""(?P<comment>\#[^\n]*)|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    r"""|(?P<word>[A-Za-z_]\w*)|(?P<open>[{<])|(?P<close>[}>])|(?P<newline>\n)"""
)


@dataclass(frozen=True)
class NetFile:
    """A net definition, and where each of its layers stands in the file.

    Attributes:
        net: The net, upgraded to the current format and not filtered by phase.
        path: The file it came from, or the solver file for a net written inside one.
        lines: Line number of each layer's opening; the first one where names repeat.
    """

    net: NetParameter
    path: Path
    lines: Mapping[str, int]


def parse(text: str, message: M, *, source: str) -> M:
    """Reads prototxt text into `message` and returns it.

    Raises:
        NetError: The text is not what the message's type allows; `where` has file, line and column.
    """
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        place = f"{source}:{error.GetLine() or 1}:{error.GetColumn() or 1}"
        raise NetError(_explain(str(error), message), where=place) from None
    missing = cast(Any, message).FindInitializationErrors()  # not in the type stubs
    if missing:
        raise NetError(f"must be given and is not: {', '.join(missing)}", where=source)
    return message


def read_net(path: str | Path) -> NetFile:
    """Reads a net definition and upgrades it to the current format.

    Raises:
        NetError: The file is missing, is no net, or is a net that cannot be upgraded.
    """
    text = _read_text(Path(path), kind="net")
    net = parse(text, NetParameter(), source=str(path))
    net_file = NetFile(net=net, path=Path(path), lines=layer_lines(text))
    with located(net_file):
        legacy.upgrade_net(net)
    return net_file


def read_solver(path: str | Path) -> SolverParameter:
    """Reads a solver; the old enum `solver_type` becomes the string `type`.

    Raises:
        NetError: The file is missing or is no solver.
    """
    text = _read_text(Path(path), kind="solver")
    solver = parse(text, SolverParameter(), source=str(path))
    with _at(str(path)):
        legacy.upgrade_solver(solver)
    return solver


def format_message(message: Message) -> str:
    """Returns a message as prototxt text, as Caffe's own tools print it."""
    return text_format.MessageToString(message, use_short_repeated_primitives=False)


@contextmanager
def located(net_file: NetFile) -> Iterator[None]:
    """Adds the file, and the line of the layer, to a NetError that passes through without a place."""
    try:
        yield
    except NetError as error:
        if error.where is None:
            line = net_file.lines.get(error.layer or "")
            error.where = f"{net_file.path}:{line}" if line else str(net_file.path)
        raise


def layer_lines(text: str) -> dict[str, int]:
    """Returns the line on which each named layer opens, for nets of all three formats."""
    lines: dict[str, int] = {}
    line, depth, opened, last_words = 1, 0, 0, ("", "")
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "newline":
            line += 1
        elif kind == "word":
            last_words = (last_words[1], token.group())
        elif kind == "open":
            if depth == 0 and last_words[1] in ("layer", "layers"):
                opened = line
            depth += 1
            last_words = ("", "")
        elif kind == "close":
            depth -= 1
        elif kind == "string":
            # V0 layers carry their name one level deeper, inside `layers { layer { … } }`.
            if opened and depth in (1, 2) and last_words[1] == "name" and line >= opened:
                lines.setdefault(token.group()[1:-1], opened)
                opened = 0
            last_words = ("", "")
    return lines


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Gives a NetError without a place this one."""
    try:
        yield
    except NetError as error:
        error.where = error.where or place
        raise


def _read_text(path: Path, *, kind: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise NetError(f"no such {kind} file", where=str(path)) from None
    except IsADirectoryError:
        raise NetError(f"is a folder; expected a {kind} file (.prototxt)", where=str(path)) from None
    except UnicodeDecodeError:
        found = "it looks like a binary file, such as a .caffemodel"
        raise NetError(f"is not text: {found}; expected a {kind} in prototxt form", where=str(path)) from None
    except OSError as error:
        raise NetError(f"cannot read: {error.strerror}", where=str(path)) from error


def _explain(what: str, message: Message) -> str:
    """Returns protobuf's complaint in a user's words, with the fork that has the field."""
    plain = _PLACE.sub("", what).replace("caffeflow.", "").rstrip(".")
    unknown = _UNKNOWN_FIELD.search(what)
    if unknown is None:
        return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST // 2]} … {plain[-_LONGEST // 2 :]}"
    owner, field = unknown["type"].removeprefix("caffeflow."), unknown["field"]
    fork = forks.fork_of_field(owner, field)
    if fork:
        return f"{owner} has no field '{field}': {fork}"
    if owner in _OTHER_FILES:
        kind, other = _OTHER_FILES[owner]
        if field in other.DESCRIPTOR.fields_by_name:
            return f"{owner} has no field '{field}', which a {kind} has; is this the file of a {kind}?"
    descriptor = message.DESCRIPTOR.file.pool.FindMessageTypeByName(unknown["type"])
    return f"{owner} has no field '{field}'{suggestion(field, descriptor.fields_by_name)}"
