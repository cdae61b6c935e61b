"""What `caffeflow test` works on: which net, which weights, and where the scores come out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caffeflow.errors import NetError, UsageError, WeightsError
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.graph import Graph, Value, build_graph
from caffeflow.proto.net import NetRole, filter_net, net_state
from caffeflow.proto.text import located, read_net
from caffeflow.workflows.run_folder import RUNS, runs_of
from caffeflow.workflows.test_data import TESTED_LAYERS, DataSettings, deploy_data_layer, own_data_layer

MODELS: Final = Path("models")

_WITHOUT_FILES: Final = {
    "MemoryData": "a program brings its records (caffeflow.pycaffe), and there is none here",
    "DummyData": "it makes its values up",
}
_NET_FILES: Final = ("train_val.prototxt", "test.prototxt", "deploy.prototxt")
_COMPARING: Final = ("Accuracy", "SoftmaxWithLoss", "InfogainLoss", "MultinomialLogisticLoss", "HingeLoss")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A net in its TEST phase and the layer whose records it is tested on.

    Attributes:
        role: The net.
        data: A layer that brings labels or boxes too, of the same name as the layer that it feeds.
        is_deploy: The net has an Input, which takes the images alone.
        label_top: Which of the data layer's tops holds the labels.
        scores: The blob with a score for each class; None if no layer compares scores with labels.
        has_probabilities: The scores have been through a Softmax.
        detections: The blob with a row for each box found; None if the net does not find boxes.
    """

    role: NetRole
    data: LayerParameter
    is_deploy: bool
    label_top: int
    scores: str | None
    has_probabilities: bool
    detections: str | None = None

    @property
    def path(self) -> Path:
        """The net's file."""
        return self.role.net_file.path


def find_subject(path: Path, settings: DataSettings, note: Callable[[str], None]) -> Subject:
    """Returns what is to be tested.

    Args:
        path: The net's file.
        settings: What the user says about the data.
        note: Gets sentences on what was decided.

    Raises:
        UsageError: Options are missing or do not fit the net.
        NetError: The net cannot be tested.
        DataError: The dataset cannot be read.
    """
    net_file = read_net(path)
    state = net_state("TEST")
    with located(net_file):
        net = filter_net(net_file.net, state)
        own = [layer for layer in net.layer if layer.type in TESTED_LAYERS]
        if len(own) > 1:
            names = " and ".join(f"'{layer.name}'" for layer in own)
            raise NetError(f"{path}: has {len(own)} data layers in its TEST phase, {names}; expected one")
        if own:
            own_data_layer(own[0], settings)
        else:
            _refuse_others(net)
        finder = _find_detector(net)
        data = own[0] if own else deploy_data_layer(net, path, settings, note, has_boxes=finder is not None)
        graph = build_graph(net)
        label_top, scores = 1, None
        if finder is not None:
            _check_boxes(data, finder)
        elif own:
            label_top, scores = _labels_and_scores(graph, data)
        else:
            scores = _scores_of_deploy(graph, path)
    return Subject(
        role=NetRole(net_file=net_file, net=net, state=state, label="test net"),
        data=data,
        is_deploy=not own,
        label_top=label_top,
        scores=scores.blob if scores else None,
        has_probabilities=scores is not None and _maker(graph, scores) == "Softmax",
        detections=finder.top[0] if finder is not None else None,
    )


def find_net(asked: str | None, *, models: Path = MODELS, files: Sequence[str] = _NET_FILES) -> Path:
    """Returns the file of a net named by a prototxt, a folder, or a folder's name under models/.

    Raises:
        UsageError: There is none, or nothing is named and there are several.
    """
    if asked is None:
        return _in_folder(_only_folder(models, files), files)
    path = Path(asked)
    if path.is_dir():
        return _in_folder(path, files)
    if path.suffix == ".prototxt":
        return path
    if (models / asked).is_dir():
        return _in_folder(models / asked, files)
    raise UsageError(
        f"there is no net '{asked}': neither a prototxt nor a folder, nor one under {models}/; make it with:"
        f" caffeflow render {asked}"
    )


def find_weights(net_path: Path, *, runs: Path = RUNS) -> Path:
    """Returns the newest caffemodel of a net: from beside it, its snapshots, or its runs.

    Raises:
        WeightsError: There is none.
    """
    folder = net_path.parent
    places = [folder, folder / "snapshots"]
    for solver in folder.glob("solver*.prototxt"):
        places += [run / "snapshots" for run, _ in runs_of(solver, root=runs)]
    found = [path for place in places for path in caffemodels_in(place)]
    if not found:
        raise WeightsError(
            f"there are no weights for {net_path}: no caffemodel in {folder}, {folder}/snapshots or its runs;"
            " train it first, or give --weights"
        )
    return max(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def caffemodels_in(folder: Path) -> list[Path]:
    """Returns the caffemodels that lie in a folder, in either of Caffe's two formats."""
    return [*folder.glob("*.caffemodel"), *folder.glob("*.caffemodel.h5")]


def _only_folder(models: Path, files: Sequence[str]) -> Path:
    folders = sorted({path.parent for name in files for path in models.glob(f"*/{name}")})
    if len(folders) == 1:
        return folders[0]
    if not folders:
        raise UsageError(
            f"there is no net under {models}/: render one first (caffeflow render lenet --data data/NAME),"
            " or name a prototxt"
        )
    listed = ", ".join(folder.name for folder in folders)
    raise UsageError(f"there are {len(folders)} nets under {models}/; name one of them: {listed}")


def _in_folder(folder: Path, files: Sequence[str]) -> Path:
    for name in files:
        if (folder / name).is_file():
            return folder / name
    raise UsageError(f"{folder}: holds none of {', '.join(files)}; name the prototxt itself")


def _find_detector(net: NetParameter) -> LayerParameter | None:
    """Returns the layer that lists what a net has found."""
    return next((layer for layer in net.layer if layer.type == "DetectionOutput"), None)


def _check_boxes(data: LayerParameter, finder: LayerParameter) -> None:
    if data.type != "AnnotatedData":
        raise NetError(
            f"finds boxes, but data layer '{data.name}' of type {data.type} brings none to compare them with;"
            " use an AnnotatedData layer, or name data with boxes: --data data/voc",
            layer=finder.name,
        )


def _refuse_others(net: NetParameter) -> None:
    """Refuses a net whose records do not lie in files."""
    for layer in net.layer:
        if layer.type in _WITHOUT_FILES:
            raise NetError(
                f"is of type {layer.type}: {_WITHOUT_FILES[layer.type]}; test the deploy net with --data, or"
                f" a net with one of {', '.join(TESTED_LAYERS)}",
                layer=layer.name,
            )


def _labels_and_scores(graph: Graph, data: LayerParameter) -> tuple[int, Value | None]:
    """Returns which top holds the labels, and the scores compared with them; the second top without any."""
    for place, top in enumerate(data.top):
        scores = _compared_scores(graph, top)
        if scores is not None:
            return place, scores
    return 1, None


def _compared_scores(graph: Graph, labels: str) -> Value | None:
    """Returns the value that is compared with the labels, the last one if there are several."""
    found = [
        node.bottoms[0]
        for node in graph.nodes
        if node.layer.type in _COMPARING and node.bottoms[1].blob == labels
    ]
    return found[-1] if found else None  # GoogLeNet's main classifier is behind its auxiliary ones


def _scores_of_deploy(graph: Graph, path: Path) -> Value:
    """Returns the only output, or the only one that a Softmax makes."""
    outputs = list(graph.outputs)
    if len(outputs) > 1:
        outputs = [value for value in outputs if _maker(graph, value) == "Softmax"]
    if len(outputs) != 1:
        names = ", ".join(f"'{value.blob}'" for value in graph.outputs)
        raise NetError(f"{path}: has the outputs {names}; expected one, with a score for each class")
    return outputs[0]


def _maker(graph: Graph, value: Value) -> str:
    """Returns the type of the layer that makes a value."""
    return next(node.layer.type for node in graph.nodes if value in node.tops)
