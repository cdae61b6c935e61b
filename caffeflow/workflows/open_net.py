"""From what a user types for a net (a catalogue name, a prototxt, a folder) to its layers and shapes.

A catalogue name is rendered in memory, as deploy net with default variables; a folder of `models/`
gives its deploy file. Nothing here imports torch unless a data layer's records must be looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caffeflow.errors import NetError, UsageError
from caffeflow.layers.inference import NetShapes, RecordShape, infer
from caffeflow.layers.spec import Shape
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.graph import Graph, build_graph
from caffeflow.proto.net import Phase, filter_net, net_state
from caffeflow.proto.text import NetFile, located, read_net

_FOLDER_FILES: Final = ("deploy.prototxt", "train_val.prototxt", "test.prototxt", "train.prototxt")


@dataclass(frozen=True, kw_only=True)
class OpenedNet:
    """A net as asked for, in one phase."""

    label: str  # what the user typed, without folders and endings that say nothing
    net_file: NetFile
    net: NetParameter
    graph: Graph
    shapes: NetShapes


def open_net(asked: str, *, phase: Phase = "TEST", record: Shape | None = None) -> OpenedNet:
    """Returns the net that a user names.

    Args:
        asked: A catalogue name, a prototxt file, or a folder that holds one.
        phase: Which layers the net has; `TRAIN` asks a catalogue net for its train_val file.
        record: (C, H, W) of one record, in place of looking at the source of a data layer.

    Raises:
        UsageError: There is no such net or file.
        NetError: The file is not a net that Caffe would build.
    """
    net_file = find_net_file(asked, phase=phase)
    with located(net_file):
        net = filter_net(net_file.net, net_state(phase))
        graph = build_graph(net)
        look = _fixed(record) if record else _record_shape
        shapes = infer(graph, record_shape=look)
    return OpenedNet(label=_label(asked), net_file=net_file, net=net, graph=graph, shapes=shapes)


def find_net_file(asked: str, *, phase: Phase = "TEST") -> NetFile:
    """Returns the net that a user names, upgraded and not filtered.

    Raises:
        UsageError: There is no such net or file.
        NetError: The file is no net.
    """
    path = Path(asked)
    if path.is_dir():
        return read_net(_in_folder(path, phase))
    if path.is_file() or path.suffix == ".prototxt":
        return read_net(path)
    raise UsageError(f"'{asked}' is no prototxt file and no folder with one")


def shape_of_text(text: str) -> Shape:
    """Returns (C, H, W) of a text such as `3x224x224`.

    Raises:
        UsageError: It is something else.
    """
    words = text.lower().split("x")
    if len(words) != 3 or not all(word.isascii() and word.isdigit() and int(word) > 0 for word in words):
        raise UsageError(f"'{text}' is no shape of a record; expected CxHxW, such as 3x256x256")
    return tuple(int(word) for word in words)


def _in_folder(folder: Path, phase: Phase) -> Path:
    order = _FOLDER_FILES if phase == "TEST" else _FOLDER_FILES[1:] + _FOLDER_FILES[:1]
    for name in order:
        if (folder / name).is_file():
            return folder / name
    raise UsageError(f"{folder}: holds none of {', '.join(_FOLDER_FILES)}; name the prototxt file itself")


def _label(asked: str) -> str:
    path = Path(asked)
    if path.suffix != ".prototxt":
        return path.name
    if path.name not in _FOLDER_FILES or path.resolve().parent.name == "":
        return path.stem
    folder = path.resolve().parent.name
    return folder if path.name == "deploy.prototxt" else f"{folder} {path.stem}"


def _fixed(record: Shape) -> RecordShape:
    def shape(_layer: LayerParameter) -> Shape:
        return record

    return shape


def _record_shape(layer: LayerParameter) -> Shape:
    source = layer.data_param.source or layer.image_data_param.source
    if not Path(source).exists():
        raise NetError(
            f"its source '{source}' is not here, so the shape of its records is not known; give it with"
            " --record CxHxW, or use the deploy file",
            layer=layer.name,
        )
    from caffeflow.engine.feed import record_shape  # the one look that needs the data readers

    return record_shape(layer)
