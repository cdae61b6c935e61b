"""Messages of any type with drawn fields: right types, wild values."""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

_SMALL: Final = (*range(5), *range(5), *range(5))  # what is often meant, often
_HALF: Final = 2**31
_REALS: Final = st.sampled_from(
    (0.0, 1.0, 0.5, -1.0, 2.0, 1e-45, 3e38, float("inf"), float("-inf"), float("nan"))
)
_WORDS: Final = st.sampled_from(("", "a", "b", "data", "c/d", "nowhere.txt", "\N{SNOWMAN}", "x" * 300))
_SIGNED_32: Final = (*_SMALL, -1, -2, 7, 64, 1000, 2**20, _HALF - 1, -_HALF)
_UNSIGNED_32: Final = (*_SMALL, 7, 64, 1000, 2**20, _HALF, 2**32 - 1)
_SIGNED_64: Final = (*_SIGNED_32, 2**32, 2**62, 2**63 - 1, -(2**63))
_VALUES: Final[dict[int, st.SearchStrategy[Any]]] = {
    FieldDescriptor.CPPTYPE_INT32: st.sampled_from(_SIGNED_32),
    FieldDescriptor.CPPTYPE_INT64: st.sampled_from(_SIGNED_64),
    FieldDescriptor.CPPTYPE_UINT32: st.sampled_from(_UNSIGNED_32),
    FieldDescriptor.CPPTYPE_FLOAT: _REALS,
    FieldDescriptor.CPPTYPE_DOUBLE: _REALS,
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
}
_DEEPEST: Final = 3


def fill(draw: st.DrawFn, message: Message, *, most: int = 4, depth: int = 0) -> None:
    """Sets up to `most` fields of a message, whichever they are, to drawn values."""
    fields = _fields(message.DESCRIPTOR, depth)
    if not fields:
        message.SetInParent()
        return
    for field in draw(st.lists(st.sampled_from(fields), max_size=most)):
        set_field(draw, message, field, depth=depth)


def set_field(draw: st.DrawFn, message: Message, field: FieldDescriptor, *, depth: int = 0) -> None:
    """Sets one field of a message to a drawn value; a repeated one to a few."""
    times = draw(st.integers(0, 3)) if _is_repeated(message, field) else 1
    message.ClearField(field.name)
    for _ in range(times):
        if field.message_type is not None:
            owner = getattr(message, field.name)
            inner = owner.add() if _is_repeated(message, field) else owner
            inner.SetInParent()
            fill(draw, inner, most=3, depth=depth + 1)
            _give_required(inner)
        elif _is_repeated(message, field):
            getattr(message, field.name).append(draw(_value(field)))
        else:
            setattr(message, field.name, draw(_value(field)))


def _fields(descriptor: Descriptor, depth: int) -> list[FieldDescriptor]:
    """Returns the fields to choose from; below a depth those that hold no messages."""
    return [field for field in descriptor.fields if field.message_type is None or depth < _DEEPEST]


def _value(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=8)
    return _VALUES.get(field.cpp_type, _WORDS)


def _is_repeated(message: Message, field: FieldDescriptor) -> bool:
    # protobuf 5 says so by `label`, which is gone in 7, whose `is_repeated` is not there in 5.
    return hasattr(getattr(message, field.name), "extend")


def _give_required(message: Message) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.name in message.FindInitializationErrors():
            setattr(message, field.name, 0)
