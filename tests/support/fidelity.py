"""`docs/fidelity.md`: how far the engine agrees with the real Caffe, written by the run that compared them.

Tests keep rows (`keep` is the fixture `fidelity`); `make fidelity` writes them. A section that the run has
rows for is written anew, whole; every other section stays as it stands on the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

HEAD: Final = """\
# Fidelity: drawn layers, drawn nets and solvers beside the real Caffe

Written by `make fidelity`, not by hand: the tests that `make test-native` runs put their figures here. Both sides
are fed with the same values by a seeded generator, Caffe through its pycaffe in a process of its own; one thread
each. What else is compared is in [parity](parity.md), what differs on purpose in [differences](differences.md).
"""

Row = Mapping[str, str]
"""Column -> cell of one row."""


class Keep(Protocol):
    """Keeps one row of a section, under a key that is its first cell."""

    def __call__(self, section: str, key: str, cells: Row) -> None:
        """Keeps the row; a second one under the same key replaces the first."""


@dataclass(frozen=True, kw_only=True)
class Section:
    """One table of the page.

    Attributes:
        title: Its heading, by which rows name it.
        rule: What was compared, and by which rule.
        keys: The heading of the first column.
        by_key: Its rows are in the order of their keys, not in that of their keeping.
    """

    title: str
    rule: str
    keys: str
    by_key: bool = False


_RULE: Final = """\
20 drawn configurations a type, over the fields that its CPU code reads. Fed with the same bottoms, learned
blobs and top gradients, tops, bottom gradients and gradients of learned blobs differ by at most 1e-5 of the
largest entry, or, where an entry is a sum, of the largest sum of absolute terms. The columns hold the worst
difference by that measure over the configurations; a dash stands where the type has no such blobs."""

_SOLVERS: Final = """\
Every update rule with every learning rate policy and every option, running free for 50 iterations on a net of TanH
and average pooling. Learned blobs and history then differ by at most 1e-5 of a blob's largest entry; the printed
rates, and the losses as average_loss smooths them, by no more than their printing. `delta` is 1e-2 in AdaGrad and
RMSProp, 1e-6 in AdaDelta, else Caffe's default. A cell holds the worst of weights and of history over the options."""

_OPTIONS: Final = """\
The same trainings by option: the worst of weights and of history over the seven policies. `multipliers` are lr_mult
and decay_mult from 0 to 3, with decay; `together` is iter_size, clip_gradients, L2, multipliers and average_loss."""

_DELTAS: Final = """\
The rules that divide by what they have seen, with Caffe's own `delta` of 1e-8: from each of Caffe's snapshots one
iteration of ours on the same batch. Updates differ by at most 1e-4 of their norm, histories by at most 1e-5 of
their largest entry. A cell holds the worst of both over 12 steps."""

_EXCHANGED: Final = """\
25 iterations by one, 25 more by the other from its snapshot, against 50 by either alone. Learned blobs and history
then differ by at most 1e-5 of a blob's largest entry. A cell holds the worst of weights and of history."""

_NET_RULE: Final = """\
50 drawn nets of 5 to 25 layers with branches, in-place layers, shared learned blobs and several losses, in both
phases, some with `force_backward`, on Caffe's learned blobs. The graph: layers, links and blobs with Caffe's Split
layers, inputs, outputs, loss weights, shapes, and who runs backward are equal. Layer by layer as above, fed with
Caffe's own bottoms and top gradients. Whole, by both executors: the loss within 1e-5, every blob within 1e-4 of
its largest entry, and in the nets without kinks every gradient within 1e-4 of its largest entry, or of what that
would be if nothing cancelled on the way down from the losses."""

SECTIONS: Final = (
    Section(title="Layer types", rule=_RULE, keys="type", by_key=True),
    Section(
        title="Layer types of the SSD fork",
        rule=_RULE + "\nAsked of a build of the fork: `CAFFEFLOW_SSD_CAFFE=TREE make fidelity`.",
        keys="type",
        by_key=True,
    ),
    Section(title="Layer types not compared", rule="And why not.", keys="type", by_key=True),
    Section(
        title="Random nets",
        rule=_NET_RULE,
        keys="comparison",
    ),
    Section(title="Solvers", rule=_SOLVERS, keys="rule"),
    Section(
        title="Solver options",
        rule=_OPTIONS,
        keys="rule",
    ),
    Section(title="Default deltas", rule=_DELTAS, keys="rule"),
    Section(title="Solverstates exchanged", rule=_EXCHANGED, keys="rule"),
)
"""The sections in the page's order."""


@dataclass
class FidelityPage:
    """The rows of a page, by section and key."""

    rows: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)

    def keep(self, section: str, key: str, cells: Row) -> None:
        """Keeps one row; see `Keep`."""
        assert section in {each.title for each in SECTIONS}, f"the page has no section '{section}'"
        for cell in (key, *cells, *cells.values()):
            assert not {"|", "\n"} & set(cell), f"a cell holds one line without bars: {cell!r}"
        self.rows.setdefault(section, {})[key] = dict(cells)

    def text(self) -> str:
        """Returns the page."""
        tables = (
            _table(section, self.rows[section.title]) for section in SECTIONS if self.rows.get(section.title)
        )
        return "\n".join([HEAD, *tables])


def read_page(path: Path) -> FidelityPage:
    """Returns the rows of a written page; none where there is no file."""
    page = FidelityPage()
    section, heads = "", [""]
    for line in path.read_text().splitlines() if path.is_file() else []:
        if line.startswith("## "):
            section, heads = line.removeprefix("## "), []
        elif line.startswith("| ") and section:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if heads:
                present = {head: cell for head, cell in zip(heads[1:], cells[1:], strict=True) if cell}
                page.keep(section, cells[0], present)
            else:
                heads = cells
    return page


def write_page(path: Path, kept: FidelityPage) -> None:
    """Writes the kept sections into the page and leaves its others as they are."""
    page = read_page(path)
    page.rows |= kept.rows
    path.write_text(page.text())


def _table(section: Section, rows: Mapping[str, Row]) -> str:
    columns = list(dict.fromkeys(column for cells in rows.values() for column in cells))
    ordered = sorted(rows.items()) if section.by_key else rows.items()
    lines = [
        f"## {section.title}",
        "",
        section.rule,
        "",
        _line([section.keys, *columns]),
        "|" + "---|" * (len(columns) + 1),
        *(_line([key, *(cells.get(column, "") for column in columns)]) for key, cells in ordered),
    ]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
