"""The weights that a fine-tuning begins with: where they are, and what of them the net takes.

Arrays are let go before anything trains: a net and its training need that memory themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from caffeflow.errors import WeightsError
from caffeflow.proto.binary import LayerArrays, write_caffemodel
from caffeflow.proto.matching import Shape
from caffeflow.render.catalog import Net
from caffeflow.render.resolve import Places
from caffeflow.weights.copying import CopyTable, copy_table, unusable
from caffeflow.weights.formats import read_weights_file
from caffeflow.weights.zoo import find_model
from caffeflow.workflows.zoo import weights_path
from caffeflow.workflows.zoo_files import zoo_dir

_FEW: Final = 4
_FOREIGN: Final = (".h5", ".npz", ".safetensors")
_CONVERTED: Final = "start.caffemodel"


@dataclass(frozen=True, kw_only=True)
class Start:
    """The weights to begin with.

    Attributes:
        path: The file; None if it is not there.
        written: What the solver names; empty if nobody knows a file.
        problem: What to do to get the file; empty if it is there.
        converted: The caffemodel to make of a file in another format, which trainings do not read.
    """

    path: Path | None
    written: str
    problem: str = ""
    converted: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What the weights are good for.

    Attributes:
        table: What is copied; None without weights.
        problem: Why nothing can train yet; empty if it can.
        notes: What the user should be told.
        written: Files that were written for it.
    """

    table: CopyTable | None = None
    problem: str = ""
    notes: Sequence[str] = ()
    written: list[Path] = field(default_factory=list)


def find_start(asked: str | None, net: Net | None, out_dir: Path, places: Places) -> Start:
    """Returns the weights that a user names, or a net's published ones.

    Args:
        asked: A file, or a name in the zoo.
        net: The net of the catalogue; None for a prototxt of the user's.
        out_dir: Where the fine-tuning is written.
        places: How paths are written.
    """
    text = asked or (net and _published_name(net))
    if not text:
        about = f"of {net.name} no published weights are known" if net else "no weights are given"
        return Start(path=None, written="", problem=f"{about}; name a file with --weights")
    try:
        path = weights_path(text)
    except WeightsError as error:
        # The solver names the place where the file belongs, so that no training begins without it.
        model = find_model(text)
        place = zoo_dir() / model.file if model else Path(text)
        return Start(path=None, written=places.written(place), problem=str(error))
    if path.suffix.lower() in _FOREIGN:
        made = out_dir / _CONVERTED
        return Start(path=path, written=places.written(made), converted=made)
    return Start(path=path, written=places.written(path))


def _published_name(net: Net) -> str | None:
    """Returns what the zoo calls the weights of a net, if it has them."""
    model = find_model(f"{net.name}:{net.variant}" if net.variant else net.name)
    return model.name if model else None


def look_into(
    start: Start, target: Mapping[str, Sequence[Shape]], *, renamed: Iterable[str], frozen: Iterable[str]
) -> Looked:
    """Returns what a net takes of the weights.

    Args:
        start: The weights.
        target: Layer name to the shapes of its learned blobs.
        renamed: The layers that begin anew.
        frozen: The layers that learn no more.
    """
    if start.path is None:
        return Looked(problem=start.problem)
    try:
        held = read_weights_file(start.path)
    except WeightsError as error:
        return Looked(problem=str(error))
    table = copy_table(held.layers, target)
    problem = _problem(start.path, table, held.layers)
    written = []
    if start.converted is not None and not problem:
        write_caffemodel(start.converted, name=held.name, layers=held.layers)
        written.append(start.converted)
    return Looked(
        table=table,
        problem=problem,
        written=written,
        notes=tuple(_notes(start.path, table, set(renamed), set(frozen))),
    )


def _problem(path: Path, table: CopyTable, layers: Sequence[LayerArrays]) -> str:
    misfits = [row for row in table.rows if row.state == "mismatched"]
    if misfits:
        more = f" (and {len(misfits) - 1} more layers, see the table)" if len(misfits) > 1 else ""
        return f"{path}: {misfits[0].reason}{more}"
    if not table.count("copied"):
        theirs, ours = _listed(table.layers("skipped")), _listed(table.layers("new"))
        return (
            f"{path}: are the weights of another net: it has {theirs}, the net {ours}, and nothing in common"
        )
    bad = unusable(layers, table.layers("copied"))
    if bad:
        return f"{path}: holds nan or infinite values in {_listed(bad)}; use an earlier or another file"
    return ""


def _notes(path: Path, table: CopyTable, renamed: set[str], frozen: set[str]) -> Iterable[str]:
    missing = [name for name in table.layers("new") if name not in renamed]
    if missing:
        yield f"{path} has nothing for {_listed(missing)}: they too begin with their fillers"
    stuck = [name for name in missing if name in frozen]
    if stuck:
        yield f"{_listed(stuck)} will never learn: frozen, and not in {path}"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:_FEW]) or "no layer"
    return shown if len(names) <= _FEW else f"{shown} and {len(names) - _FEW} more"
