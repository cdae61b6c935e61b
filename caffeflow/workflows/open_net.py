"""From what a user types for a net (a catalogue name, a prototxt, a folder) to its layers and shapes.

A catalogue name, with `:variant` behind it if it has variants, is rendered in memory with the recipe's
own dataset, so that its figures do not depend on what lies around. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from caffeflow.errors import NetError, TemplateError, UnsupportedLayerError, UsageError
from caffeflow.layers.data import record_source
from caffeflow.layers.inference import NetShapes, RecordShape, infer
from caffeflow.layers.spec import Shape
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.graph import Graph, build_graph
from caffeflow.proto.legacy import upgrade_net
from caffeflow.proto.net import Phase, filter_net, net_state
from caffeflow.proto.text import NetFile, layer_lines, located, parse, read_net

# Layers that say how many records make a batch, and the field whose batch_size it is.
_BATCHED: Final = {
    "Data": "data_param",
    "AnnotatedData": "data_param",
    "ImageData": "image_data_param",
    "HDF5Data": "hdf5_data_param",
    "WindowData": "window_data_param",
    "MemoryData": "memory_data_param",
}
_FOLDER_FILES: Final = ("deploy.prototxt", "train_val.prototxt", "test.prototxt", "train.prototxt")
_FOLDER_FILES_TO_TRAIN: Final = ("train_val.prototxt", "train.prototxt", "test.prototxt", "deploy.prototxt")


@dataclass(frozen=True, kw_only=True)
class Ask:
    """What a user asks for.

    Attributes:
        net: A catalogue name (`resnet50`, `mobilenet-v2:paper`), a prototxt file, or a folder with one.
        phase: Which layers the net has; `TRAIN` takes a catalogue net's or a folder's train_val file.
        record: (C, H, W) of a data layer's records, in place of looking at the source.
        assignments: Variable name to text, for catalogue nets.
        batch_size: Items at once, in place of what the file says.
    """

    net: str
    phase: Phase = "TEST"
    record: Shape | None = None
    assignments: Mapping[str, str] = field(default_factory=dict)
    batch_size: int | None = None


@dataclass(frozen=True, kw_only=True)
class OpenedNet:
    """A net as asked for, in one phase.

    Attributes:
        label: What the user typed, without folders and endings that say nothing.
        record_shape: Gives the shape of a data layer's records.
    """

    label: str
    net_file: NetFile
    net: NetParameter
    graph: Graph
    record_shape: RecordShape

    def shapes(self) -> NetShapes:
        """Returns the shapes of the net's layers.

        Raises:
            NetError: The net is one that Caffe would refuse.
            UnsupportedLayerError: A layer type without a description here.
        """
        with located(self.net_file):
            return infer(self.graph, record_shape=self.record_shape)

    def find_shapes(self) -> tuple[NetShapes | None, str]:
        """Returns the shapes and an empty string, or None and why there are none."""
        try:
            return self.shapes(), ""
        except UnsupportedLayerError as error:
            return None, str(error)


def open_net(ask: Ask) -> OpenedNet:
    """Returns the net that a user names.

    Raises:
        UsageError: There is no such net or file.
        TemplateError: The catalogue's net has no such variant or variable.
        NetError: The file is not a net that Caffe would build.
    """
    record = ask.record
    path = Path(ask.net)
    is_file = path.exists() or path.suffix == ".prototxt"
    if is_file and ask.assignments:
        raise UsageError(f"--set is for nets of the catalogue; '{ask.net}' is a file, which you can edit")
    if path.is_dir():
        net_file = read_net(_in_folder(path, ask.phase))
    elif is_file:
        net_file = read_net(path)
    else:
        net_file, recipe_record = _render(ask)
        record = record or recipe_record
    with located(net_file):
        net = filter_net(net_file.net, net_state(ask.phase))
        if ask.batch_size is not None:
            set_batch_size(net, ask.batch_size)
        graph = build_graph(net)
    look = _fixed(record) if record else _record_shape
    return OpenedNet(label=_label(ask.net), net_file=net_file, net=net, graph=graph, record_shape=look)


def set_batch_size(net: NetParameter, batch_size: int) -> None:
    """Sets how many items the data, dummy data and input layers of a net bring at once."""
    for layer in net.layer:
        if layer.type in _BATCHED:
            getattr(layer, _BATCHED[layer.type]).batch_size = batch_size
        elif layer.type in ("Input", "DummyData"):
            param = layer.input_param if layer.type == "Input" else layer.dummy_data_param
            for shape in param.shape:
                if shape.dim:
                    shape.dim[0] = batch_size
            if layer.type == "DummyData":
                layer.dummy_data_param.num[:] = [batch_size] * len(layer.dummy_data_param.num)


def shape_of_text(text: str) -> Shape:
    """Returns (C, H, W) of a text such as `3x224x224`.

    Raises:
        UsageError: It is something else.
    """
    words = text.lower().split("x")
    if len(words) != 3 or not all(word.isascii() and word.isdigit() and int(word) > 0 for word in words):
        raise UsageError(f"'{text}' is no shape of a record; expected CxHxW, such as 3x256x256")
    return tuple(int(word) for word in words)


def _render(ask: Ask) -> tuple[NetFile, Shape]:
    """Returns a catalogue net, and the shape of the records that its recipe was made for."""
    from caffeflow.render.catalog import find_net
    from caffeflow.render.dataset import stand_in
    from caffeflow.render.render import render_files, resolve
    from caffeflow.render.resolve import Places
    from caffeflow.render.rules_data import record_size

    name, _, variant = ask.net.partition(":")
    if "/" in ask.net:
        raise UsageError(f"'{ask.net}' is no prototxt file and no folder with one")
    try:
        net = find_net(name, variant or None)
    except TemplateError as error:
        raise TemplateError(f"{error}; and there is no file or folder '{ask.net}'") from error
    places = Places(out_dir=Path("models") / net.name, working_dir=Path.cwd())
    resolution = resolve(net, stand_in(net, Path("data")), places, ask.assignments)
    file_name = net.task.net_file(ask.phase)
    text = render_files(resolution, command="in memory").texts[file_name]
    source = f"{ask.net} {file_name}"
    parsed = parse(text, NetParameter(), source=source)
    upgrade_net(parsed)
    record = (resolution["net.channels"], *record_size(resolution))
    return NetFile(net=parsed, path=Path(source), lines=layer_lines(text)), record


def _in_folder(folder: Path, phase: Phase) -> Path:
    for name in _FOLDER_FILES if phase == "TEST" else _FOLDER_FILES_TO_TRAIN:
        if (folder / name).is_file():
            return folder / name
    raise UsageError(f"{folder}: holds none of {', '.join(_FOLDER_FILES)}; name the prototxt file itself")


def _label(asked: str) -> str:
    path = Path(asked)
    if path.suffix != ".prototxt":
        return path.resolve().name if path.is_dir() else asked
    if path.name not in _FOLDER_FILES:
        return path.stem
    folder = path.resolve().parent.name
    return folder if path.name == "deploy.prototxt" else f"{folder} {path.stem}"


def _fixed(record: Shape) -> RecordShape:
    def shape(_layer: LayerParameter) -> Shape:
        return record

    return shape


def _record_shape(layer: LayerParameter) -> Shape | list[Shape]:
    source = record_source(layer)
    if not Path(source).exists():
        raise NetError(
            f"its source '{source}' is not here, so the shape of its records is not known; give it with"
            " --record CxHxW, or use the deploy file",
            layer=layer.name,
        )
    from caffeflow.engine.feed.sources import record_shape  # the one look that needs the readers

    return record_shape(layer)
