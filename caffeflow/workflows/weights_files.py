"""`caffeflow weights diff`, `copy` and `convert`: files of weights compared, renamed and rewritten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from caffeflow.errors import UsageError, WeightsError, suggestion
from caffeflow.proto.binary import LayerArrays, count_values
from caffeflow.proto.hdf5_weights import caffe_cannot_find
from caffeflow.proto.matching import Shape
from caffeflow.weights.compare import LayerDifference, compare_layers
from caffeflow.weights.copying import CopyTable, copy_table, unusable
from caffeflow.weights.formats import ENDINGS, ending_of, read_weights, read_weights_file, write_weights
from caffeflow.workflows.open_net import Ask, open_net
from caffeflow.workflows.weights_into_net import in_shape, learned_shapes, named, where_all_is


@dataclass(frozen=True, kw_only=True)
class CopyRequest:
    """What is to be copied.

    Attributes:
        source: The file.
        ask: The net.
        out: The file to write.
        renames: Layer of the file to layer of the net.
        force: Replace a file that is there.
    """

    source: Path
    ask: Ask
    out: Path
    renames: Mapping[str, str] = field(default_factory=dict)
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class WrittenFile:
    """What was written.

    Attributes:
        values: How many learned values.
        notes: What the user should know.
    """

    values: int
    notes: tuple[str, ...]


def is_weights_file(text: str) -> bool:
    """Whether a word names a file of weights, not a net."""
    return Path(text).suffix.lower() in ENDINGS


def diff_files(first: Path, second: Path, *, tolerance: float = 0.0) -> list[LayerDifference]:
    """Returns how the layers of two files compare.

    Raises:
        WeightsError: A file cannot be read.
    """
    return compare_layers(read_weights(first), read_weights(second), tolerance=tolerance)


def diff_net(path: Path, ask: Ask) -> CopyTable:
    """Returns what copying a file's weights into a net would do, layer by layer.

    Raises:
        WeightsError: The file cannot be read.
        UsageError: There is no such net.
        NetError: The net is one that Caffe would refuse.
    """
    return copy_table(read_weights(path), learned_shapes(open_net(ask)))


def copy(request: CopyRequest) -> tuple[CopyTable, WrittenFile | None]:
    """Writes a file with a net's layers, from those of another file.

    Returns:
        What became of each layer, and what was written; None where a layer does not fit: nothing then.

    Raises:
        UsageError: The file is there already, or a rename names no layer.
        WeightsError: The source cannot be read, or nothing of it goes into the net.
    """
    _check_out(request.source, request.out, force=request.force)
    opened = open_net(request.ask)
    source = read_weights(request.source)
    layers = renamed(source, request.renames, path=request.source)
    shapes = learned_shapes(opened)
    absent = [new for new in request.renames.values() if new not in shapes]
    if absent:
        raise UsageError(
            f"--map: {opened.net_file.path} has no layer '{absent[0]}'{suggestion(absent[0], shapes)}"
        )
    table = copy_table(layers, shapes)
    if table.count("mismatched"):
        return table, None
    if not table.count("copied"):
        raise WeightsError(
            f"{request.source}: none of its layers is in {request.ask.net}; rename with --map OLD=NEW;"
            f" {where_all_is(request.source, request.ask.net)}"
        )
    messages = {layer.name: layer for layer in reversed(opened.net.layer)}
    copied = [
        replace(
            layer,
            type=messages[layer.name].type,
            bottoms=tuple(messages[layer.name].bottom),
            tops=tuple(messages[layer.name].top),
        )
        for layer in in_shape(layers, shapes)
    ]
    _write(request.out, opened.net.name, copied)
    return table, WrittenFile(values=count_values(copied), notes=tuple(_notes(request.out, copied)))


def renamed(layers: Sequence[LayerArrays], renames: Mapping[str, str], *, path: Path) -> list[LayerArrays]:
    """Returns layers under other names.

    Raises:
        UsageError: There is no layer to rename, or two layers would have one name.
    """
    known = [layer.name for layer in layers]
    for old in renames:
        if old not in known:
            raise UsageError(f"--map: {path} has no layer '{old}'{suggestion(old, known)}")
    names = [renames.get(name, name) for name in known]
    for new in renames.values():
        if names.count(new) > 1:
            raise UsageError(
                f"--map: {path} would have two layers '{new}'; rename the other one too, --map {new}=..."
            )
    return [replace(layer, name=name) for layer, name in zip(layers, names, strict=True)]


def convert(source: Path, out: Path, *, force: bool = False) -> WrittenFile:
    """Writes a file's layers in the format that another name ends in.

    Raises:
        UsageError: The file is there already, or its ending says no format.
        WeightsError: The source cannot be read, or the format cannot hold its names.
    """
    _check_out(source, out, force=force)
    found = read_weights_file(source)
    _write(out, found.name, found.layers)
    return WrittenFile(values=count_values(found.layers), notes=tuple(_notes(out, found.layers)))


def _notes(out: Path, layers: Sequence[LayerArrays]) -> Iterator[str]:
    bad = unusable(layers, [layer.name for layer in layers])
    if bad:
        yield f"values that are nan or infinite in {named(bad)}"
    if ending_of(out) != ".h5":
        return
    hidden = caffe_cannot_find(layer.name for layer in layers if layer.arrays)
    if hidden:
        yield f"Caffe itself does not find layers with '/' in their names in HDF5: {named(hidden)}"
    old = [layer.name for layer in layers if any(_looks_legacy(array.shape) for array in layer.arrays)]
    if old:
        yield f"Caffe itself takes no four-dimensional blobs of old files from HDF5: {named(old)}"


def _looks_legacy(shape: Shape) -> bool:
    return len(shape) == 4 and shape[:2] == (1, 1) and shape != (1, 1, 1, 1)


def _check_out(source: Path, out: Path, *, force: bool) -> None:
    ending_of(out)
    if out.exists() and out.samefile(source):
        raise UsageError(f"{out}: is the file that is read; choose another --out")
    if out.exists() and not force:
        raise UsageError(f"{out}: is there already; replace it with --force, or choose another --out")


def _write(out: Path, name: str, layers: Sequence[LayerArrays]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    write_weights(out, name=name, layers=layers)
