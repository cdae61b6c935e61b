"""Adding a layer's message to the text of a tree's caffe.proto.

Forks give the same numbers to different fields, so a number is taken only where the tree's own
LayerParameter leaves it free; a field that is there already is used as it is.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from caffeflow.native.layer_sources import LayerMessage
from caffeflow.native.patches.patch import PlaceNotFoundError

_COMMENT: Final = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_NUMBER: Final = re.compile(r"=\s*(\d+)\s*[;\[]")
_KEPT: Final = re.compile(r"\b(?:reserved|extensions)\b([^;]*);")
_RANGE: Final = re.compile(r"(\d+)(?:\s+to\s+(\d+|max))?")
_LAST_NUMBER: Final = 2**29 - 1
_PROTOBUFS_OWN: Final = range(19000, 20000)


class _Body(NamedTuple):
    """Where a message's fields begin and end, and what stands there without comments."""

    start: int
    end: int
    text: str


def needs_message(schema: str, layer: LayerMessage) -> bool:
    """Tells whether a schema lacks the layer's message, or its field in LayerParameter."""
    body = _body(schema, "LayerParameter")
    if body is None or _body(schema, layer.message) is None:
        return True
    return _field_type(body, layer.field) != layer.message


def add_message(schema: str, layer: LayerMessage) -> str:
    """Returns the schema with the layer's message and its field in LayerParameter.

    Raises:
        PlaceNotFoundError: There is no LayerParameter, or it has the field with another meaning.
    """
    body = _layer_parameter(schema)
    found = _field_type(body, layer.field)
    if found not in (None, layer.message):
        raise PlaceNotFoundError(f"{layer.field} of type {layer.message}, not {found}, in LayerParameter")
    if found is None:
        line = f"  optional {layer.message} {layer.field} = {free_number(body.text, layer.number)};\n"
        schema = schema[: body.end] + line + schema[body.end :]
    if _body(schema, layer.message) is None:
        schema = schema.rstrip("\n") + "\n\n" + layer.text
    return schema


def free_number(fields: str, wanted: int) -> int:
    """Returns the wanted number if the fields of a message leave it free, else the next free one."""
    taken = [range(int(number), int(number) + 1) for number in _NUMBER.findall(fields)]
    taken.append(_PROTOBUFS_OWN)
    for statement in _KEPT.findall(fields):
        for first, last in _RANGE.findall(statement):
            end = _LAST_NUMBER if last == "max" else int(last or first)
            taken.append(range(int(first), end + 1))
    number = wanted
    for numbers in sorted(taken, key=lambda numbers: numbers.start):
        if number in numbers:
            number = numbers.stop
    if number > _LAST_NUMBER:
        raise PlaceNotFoundError(f"a free field number from {wanted} on in LayerParameter")
    return number


def _layer_parameter(schema: str) -> _Body:
    body = _body(schema, "LayerParameter")
    if body is None:
        raise PlaceNotFoundError("message LayerParameter")
    return body


def _body(schema: str, message: str) -> _Body | None:
    """Finds the fields of a message; in their text, comments are blanks of the same length."""
    bare = _COMMENT.sub(lambda comment: re.sub(r"[^\n]", " ", comment[0]), schema)
    start = re.search(rf"^\s*message\s+{message}\s*{{", bare, re.MULTILINE)
    if start is None:
        return None
    depth = 1
    for brace in re.finditer(r"[{}]", bare[start.end() :]):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            end = start.end() + brace.start()
            return _Body(start.end(), end, bare[start.end() : end])
    return None


def _field_type(body: _Body, field: str) -> str | None:
    found = re.search(rf"\b(?:optional|repeated|required)\s+([\w.]+)\s+{field}\s*=", body.text)
    return found[1] if found else None
