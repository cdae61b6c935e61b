"""The layer types that caffeflow knows, as a table for the terminal and as a page of the docs.

Everything comes from the specs of `caffeflow.layers` and from its list of refused types, so neither
can be out of date.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from caffeflow import layers
from caffeflow.layers.spec import SPECS, Count
from caffeflow.layers.unsupported import UNSUPPORTED
from caffeflow.report.tables import table

if TYPE_CHECKING:
    from rich.table import Table

_NO_FAMILIES: Final = frozenset({"inference", "params", "spec", "unsupported"})


@dataclass(frozen=True, kw_only=True)
class LayerEntry:
    """One layer type.

    Attributes:
        runs: Whether the embedded engine runs it.
        bottoms: How many it takes, in words; empty if it does not run.
        tops: How many it makes.
        note: A limit, or why it does not run.
    """

    type: str
    runs: bool
    bottoms: str
    tops: str
    note: str


def layer_entries() -> list[LayerEntry]:
    """Returns all layer types, those that run first, in alphabetical order."""
    known = [
        LayerEntry(
            type=name,
            runs=True,
            bottoms=_count(spec.bottoms),
            tops="one a bottom" if spec.tops_like_bottoms else _count(spec.tops),
            note=spec.note,
        )
        for name, spec in sorted(SPECS.items())
    ]
    refused = [
        LayerEntry(type=name, runs=False, bottoms="", tops="", note=reason)
        for name, reason in sorted(UNSUPPORTED.items())
    ]
    return known + refused


def layers_table(*, runs: bool) -> Table:
    """Returns the table of the types that run, or of those that do not."""
    entries = [entry for entry in layer_entries() if entry.runs is runs]
    if runs:
        rows = [(entry.type, entry.bottoms, entry.tops, entry.note) for entry in entries]
        return table(
            ("type", "bottoms", "tops", "limits"), rows, title=f"{len(rows)} layer types run on this engine"
        )
    reasons = [(entry.type, entry.note) for entry in entries]
    return table(("type", "why not"), reasons, title=f"{len(reasons)} are known and do not run here")


def layers_page() -> str:
    """Returns the docs page: both tables, and what is Caffe's own in each family."""
    entries = layer_entries()
    lines = [
        "# Layers",
        "",
        "What the embedded engine runs, and what it refuses. Any other type is an error that names the",
        "nearest one. `caffeflow layers` prints the same.",
        "",
        "| type | bottoms | tops | limits |",
        "|---|---|---|---|",
        *(f"| `{e.type}` | {e.bottoms} | {e.tops} | {_cell(e.note)} |" for e in entries if e.runs),
        "",
        "## Known, and not run here",
        "",
        "| type | why not |",
        "|---|---|",
        *(f"| `{e.type}` | {_cell(e.note)} |" for e in entries if not e.runs),
        "",
        "## What is Caffe's own",
        "",
        "Where layers differ from what other frameworks do under the same name.",
    ]
    for family in families():
        title, text = split_docstring(family)
        lines += ["", f"### {title}", *(["", text] if text else [])]
    return "\n".join(lines) + "\n"


def families() -> Iterator[ModuleType]:
    """Yields the modules that describe layer types, in alphabetical order."""
    for name, member in sorted(vars(layers).items()):
        if inspect.ismodule(member) and name not in _NO_FAMILIES:
            yield member


def split_docstring(module: ModuleType) -> tuple[str, str]:
    """Returns the first line of a module's docstring without its full stop, and the rest."""
    first, _, rest = (inspect.getdoc(module) or "").partition("\n")
    return first.removesuffix("."), rest.strip()


def to_json(entry: LayerEntry) -> dict[str, Any]:
    """Returns an entry as plain values."""
    return {
        "type": entry.type,
        "runs": entry.runs,
        "bottoms": entry.bottoms or None,
        "tops": entry.tops or None,
        "note": entry.note or None,
    }


def _count(count: Count) -> str:
    low, high = (count, count) if isinstance(count, int) else count
    if low == high:
        return str(low)
    if high is None:
        return "any number" if low == 0 else f"{low} or more"
    return f"{low} or {high}" if high == low + 1 else f"{low} to {high}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
