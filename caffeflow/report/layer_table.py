"""The layer types that caffeflow knows, as tables for the terminal: all of them, or one in full."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import FieldDescriptor

from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.report.layer_facts import BVLC, LayerEntry, by_tree, family_text
from caffeflow.report.tables import table

_WORDS: Final = {
    FieldDescriptor.CPPTYPE_INT32: "whole number",
    FieldDescriptor.CPPTYPE_INT64: "whole number",
    FieldDescriptor.CPPTYPE_UINT32: "whole number from 0",
    FieldDescriptor.CPPTYPE_UINT64: "whole number from 0",
    FieldDescriptor.CPPTYPE_FLOAT: "number",
    FieldDescriptor.CPPTYPE_DOUBLE: "number",
    FieldDescriptor.CPPTYPE_BOOL: "true | false",
    FieldDescriptor.CPPTYPE_STRING: "text",
}

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


def layers_listing(entries: list[LayerEntry]) -> Iterator[RenderableType]:
    """Yields the types that run, their limits, those that do not run and why, and how many there are."""
    known = [entry for entry in entries if entry.runs]
    refused = [entry for entry in entries if not entry.runs]
    yield _known(known)
    noted = [(entry.type, entry.note) for entry in known if entry.note]
    yield table(
        ("type", "limits"), noted, title=f"{len(noted)} of them have limits or differ on purpose", unbroken=1
    )
    reasons = [(entry.type, entry.note) for entry in refused]
    yield table(("type", "why not"), reasons, title=f"{len(reasons)} known, and not run here", unbroken=1)
    yield "\n".join(counts(entries))


def counts(entries: list[LayerEntry]) -> list[str]:
    """Returns how many types there are, by the tree they are from."""
    losses = [entry for entry in entries if entry.is_loss]
    learning = [entry for entry in entries if entry.learns]
    known = sum(entry.runs for entry in entries)
    lines = [
        f"layer types that run: {known}; refused: {len(entries) - known};"
        f" with learned blobs: {len(learning)}; losses: {len(losses)}",
    ]
    for tree, members in by_tree(entries).items():
        running = sum(entry.runs for entry in members)
        of_all = str(running) if running == len(members) else f"{running} of {len(members)}"
        names = "" if tree == BVLC else ": " + ", ".join(entry.type for entry in members)
        lines.append(f"  {of_all} of {tree}{names}")
    return lines


def one_layer(entry: LayerEntry) -> Iterator[RenderableType]:
    """Yields all that is known of one type: facts, settings with defaults, what is Caffe's own."""
    facts = [("type", entry.type), ("from", entry.tree)]
    if entry.runs:
        facts += [
            ("file", f"caffeflow/layers/{entry.file}"),
            ("bottoms", entry.bottoms),
            ("tops", entry.tops + (", may be the bottom" if entry.in_place else "")),
            ("learned blobs", ", ".join(entry.learns) or "none"),
            ("loss", "yes: counts 1 unless loss_weight says otherwise" if entry.is_loss else "no"),
        ]
    if entry.note:
        facts.append(("limits" if entry.runs else "why not", entry.note))
    yield table(("", ""), facts, unbroken=1)
    for field in entry.settings:
        yield _settings(field)
    if entry.runs:
        yield family_text(entry)


def _known(entries: list[LayerEntry]) -> Table:
    rows = [
        (
            entry.type,
            entry.file.removesuffix(".py"),
            _short(entry.bottoms),
            _short(entry.tops),
            ", ".join(entry.learns),
        )
        for entry in entries
    ]
    return table(
        ("type", "layers/….py", "bottoms", "tops", "learned blobs"),
        rows,
        title=f"{len(rows)} layer types run on this engine",
        unbroken=4,
    )


def _short(count: str) -> str:
    """Returns a count as few characters, so that the table fits into a narrow terminal."""
    for words, sign in (
        (" or more", "+"),
        (" or ", "-"),
        (" to ", "-"),
        ("one a bottom", "each"),
        ("any number", "any"),
    ):
        count = count.replace(words, sign)
    return count


def _settings(field: str) -> Table:
    message: Any = LayerParameter.DESCRIPTOR.fields_by_name[field].message_type
    rows = [(one.name, _kind(one), _default(one)) for one in message.fields]
    return table((field, "values", "default"), rows, unbroken=1)


def _kind(field: Any) -> str:
    """Returns what a field takes, in the words of a prototxt."""
    if field.enum_type:
        kind = " | ".join(value.name for value in field.enum_type.values)
    elif field.message_type:
        kind = field.message_type.name
    else:
        kind = _WORDS[field.cpp_type]
    return f"{kind}, repeated" if _is_repeated(field) else kind


def _default(field: Any) -> str:
    if not field.has_default_value:
        return ""
    value = field.default_value
    if field.enum_type:
        return str(field.enum_type.values_by_number[value].name)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_repeated(field: Any) -> bool:
    # The field's `label` went away in protobuf 7, and 5 has no `is_repeated`; both have this.
    return isinstance(field.default_value, list)
