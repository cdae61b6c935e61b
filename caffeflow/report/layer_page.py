"""The docs page about layer types: those that run, those that do not, and each family's own text."""

from __future__ import annotations

from caffeflow.report.layer_facts import BVLC, LayerEntry, families, layer_entries, split_docstring
from caffeflow.report.layer_table import counts


def layers_page() -> str:
    """Returns the docs page: both tables, how many there are, and what is Caffe's own in each family."""
    entries = layer_entries()
    lines = [
        "# Layers",
        "",
        "What the embedded engine runs, and what it refuses. Any other type is an error that names the",
        "nearest one, or the tree that it is from. `caffeflow layers` prints the same, and",
        "`caffeflow layers TYPE` one type with its settings and their defaults.",
        "",
        *(f"* {line.strip()}" for line in counts(entries)),
        "",
        "| type | file in `caffeflow/layers/` | bottoms | tops | learned blobs | loss | limits |",
        "|---|---|---|---|---|---|---|",
        *(_row(entry) for entry in entries if entry.runs),
        "",
        "Types that BVLC's Caffe lacks are from:",
        "",
        *(f"* `{entry.type}`: {entry.tree}" for entry in entries if entry.tree != BVLC),
        "",
        "## Known, and not run here",
        "",
        "| type | why not |",
        "|---|---|",
        *(f"| `{entry.type}` | {_cell(entry.note)} |" for entry in entries if not entry.runs),
        "",
        "## What is Caffe's own",
        "",
        "Where layers differ from what other frameworks do under the same name.",
    ]
    for family in families():
        title, text = split_docstring(family)
        lines += ["", f"### {title}", *(["", text] if text else [])]
    return "\n".join(lines) + "\n"


def _row(entry: LayerEntry) -> str:
    cells = (
        f"`{entry.type}`",
        f"`{entry.file}`",
        entry.bottoms,
        entry.tops,
        ", ".join(entry.learns),
        "yes" if entry.is_loss else "",
        _cell(entry.note),
    )
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
