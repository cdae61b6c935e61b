"""Tables for the terminal: one look for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    title: str = "",
    footer: Sequence[str] = (),
    unbroken: int = 0,
) -> Table:
    """Returns a table.

    Args:
        columns: The heads; one that begins with `>` stands over numbers, which are set to the right.
        rows: The cells.
        title: A line above.
        footer: A row of sums below a rule.
        unbroken: How many of the first columns keep their width where the terminal is narrow.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(title=title or None, title_justify="left", box=SIMPLE_HEAD, show_footer=bool(footer))
    for place, column in enumerate(columns):
        made.add_column(
            column.removeprefix(">"),
            footer[place] if footer else "",
            justify="right" if column.startswith(">") else "left",
            overflow="fold",
            no_wrap=place < unbroken,
        )
    for row in rows:
        made.add_row(*row)
    return made


def percent(share: float | None) -> str:
    """Returns a share as people read it, or nothing."""
    return "" if share is None else f"{100 * share:.2f} %"
