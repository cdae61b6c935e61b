"""What is to be said of each layer type, and of the types that are refused: in words and plain values.

Everything comes from the specs of `caffeflow.layers` and from its list of refused types, so neither
can be out of date.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any, Final

from caffeflow import layers
from caffeflow.errors import UnsupportedLayerError
from caffeflow.layers.spec import SPECS, Count, LayerSpec, family_of, spec_for
from caffeflow.layers.unsupported import UNSUPPORTED
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.proto.forks import SSD_FORK, tree_of_layer
from caffeflow.proto.own_settings import OWN_SETTINGS

_NO_FAMILIES: Final = frozenset({"inference", "params", "spec", "unsupported"})
BVLC: Final = "BVLC's Caffe"


@dataclass(frozen=True, kw_only=True)
class LayerEntry:
    """One layer type; of one that does not run only the type, the tree and the note are known.

    Attributes:
        runs: Whether the embedded engine runs it.
        tree: Which Caffe has it.
        file: The file in `layers/` that describes it.
        bottoms: How many it takes, in words.
        tops: How many it makes, in words.
        learns: The names of its learned blobs, in caffemodel order; some only with some settings.
        is_loss: Its first top counts in the loss unless `loss_weight` says otherwise.
        in_place: Its top may be its bottom.
        settings: The fields of a layer that it looks into.
        note: A limit, or why it does not run.
    """

    type: str
    runs: bool
    tree: str
    file: str = ""
    bottoms: str = ""
    tops: str = ""
    learns: tuple[str, ...] = ()
    is_loss: bool = False
    in_place: bool = False
    settings: tuple[str, ...] = ()
    note: str = ""

    @property
    def is_of_ssd(self) -> bool:
        """Whether it is of the SSD fork and the trees made from it."""
        return self.tree.startswith(SSD_FORK)


def layer_entries() -> list[LayerEntry]:
    """Returns all layer types, those that run first, in alphabetical order."""
    known = [_entry(SPECS[name]) for name in sorted(SPECS)]
    refused = [
        LayerEntry(type=name, runs=False, tree=_tree(name), note=reason)
        for name, reason in sorted(UNSUPPORTED.items())
    ]
    return known + refused


def layer_entry(layer_type: str) -> LayerEntry:
    """Returns one layer type.

    Raises:
        UnsupportedLayerError: No type is called so; says whose it is, or the nearest name.
    """
    found = {entry.type: entry for entry in layer_entries()}
    if layer_type not in found:
        spec_for(LayerParameter(type=layer_type))
        raise UnsupportedLayerError(f"unknown layer type '{layer_type}'")
    return found[layer_type]


def by_tree(entries: list[LayerEntry]) -> dict[str, list[LayerEntry]]:
    """Returns the entries of each kind of tree: BVLC's, the SSD fork's, others'."""
    kinds: dict[str, list[LayerEntry]] = {BVLC: [], SSD_FORK: [], "other forks": []}
    for entry in entries:
        kind = BVLC if entry.tree == BVLC else SSD_FORK if entry.is_of_ssd else "other forks"
        kinds[kind].append(entry)
    return kinds


def families() -> Iterator[ModuleType]:
    """Yields the modules that describe layer types, in alphabetical order."""
    for name, member in sorted(vars(layers).items()):
        if inspect.ismodule(member) and name not in _NO_FAMILIES:
            yield member


def split_docstring(module: ModuleType) -> tuple[str, str]:
    """Returns the first line of a module's docstring without its full stop, and the rest."""
    first, _, rest = (inspect.getdoc(module) or "").partition("\n")
    return first.removesuffix("."), rest.strip()


def family_text(entry: LayerEntry) -> str:
    """Returns what the file of a type says of its family."""
    title, text = next(
        split_docstring(family) for family in families() if _file(family.__name__) == entry.file
    )
    return f"{title}.\n\n{text}" if text else f"{title}."


def to_json(entry: LayerEntry) -> dict[str, Any]:
    """Returns an entry as plain values."""
    values = {**asdict(entry), "learns": list(entry.learns), "settings": list(entry.settings)}
    return {name: None if value == "" else value for name, value in values.items()}


def _entry(spec: LayerSpec) -> LayerEntry:
    own = [OWN_SETTINGS[spec.type]] if spec.type in OWN_SETTINGS else []
    return LayerEntry(
        type=spec.type,
        runs=True,
        tree=_tree(spec.type),
        file=_file(family_of(spec.type)),
        bottoms=_count(spec.bottoms),
        tops="one a bottom" if spec.tops_like_bottoms else _count(spec.tops),
        learns=spec.learns,
        is_loss=spec.default_loss_weight != 0,
        in_place=spec.may_be_in_place,
        settings=tuple(dict.fromkeys([*own, *spec.settings])),
        note=spec.note,
    )


def _tree(layer_type: str) -> str:
    return tree_of_layer(layer_type) or BVLC


def _file(module: str) -> str:
    return module.removeprefix(f"{layers.__name__}.") + ".py"


def _count(count: Count) -> str:
    low, high = (count, count) if isinstance(count, int) else count
    if low == high:
        return str(low)
    if high is None:
        return "any number" if low == 0 else f"{low} or more"
    return f"{low} or {high}" if high == low + 1 else f"{low} to {high}"
