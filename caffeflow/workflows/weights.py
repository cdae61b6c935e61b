"""`caffeflow weights`: what is in a caffemodel, and making one to begin with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from caffeflow.data.manifest import read_manifest
from caffeflow.errors import NetError, UsageError, WeightsError, suggestion
from caffeflow.proto.binary import LayerArrays, count_values
from caffeflow.proto.caffe_pb2 import FillerParameter
from caffeflow.proto.graph import build_graph
from caffeflow.weights.arrays import BlobStatistics, statistics_of
from caffeflow.weights.formats import read_weights
from caffeflow.weights.initial import has_no_filler, initial_arrays
from caffeflow.workflows.open_net import Ask, OpenedNet, open_net
from caffeflow.workflows.test_data import RECORD_LAYERS, DataSettings, own_data_layer
from caffeflow.workflows.weights_out import check_out, write_out

if TYPE_CHECKING:
    from caffeflow.engine.calibration import Rescaled
    from caffeflow.engine.net import Net
    from caffeflow.engine.training import Feeds

_INSTEAD_OF_ZEROS: Final = FillerParameter(type="msra")


@dataclass(frozen=True, kw_only=True)
class InitRequest:
    """What weights to make.

    Attributes:
        ask: The net; in phase TRAIN, in which fillers stand.
        out: The caffemodel.
        seed: Of everything random.
        is_calibrated: Whether the weights are scaled and BatchNorm's statistics averaged.
        data_dir: The dataset to calibrate on; None: made-up images.
        batches: How many batches to calibrate on.
        force: Replace a file that is there.
    """

    ask: Ask
    out: Path
    seed: int = 0
    is_calibrated: bool = False
    data_dir: Path | None = None
    batches: int = 4
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class InitReport:
    """What was made.

    Attributes:
        values: How many learned values.
        without_filler: Layers whose file names no filler for their weights.
        rescaled: The layers whose weights calibration scaled.
    """

    values: int
    without_filler: tuple[str, ...]
    rescaled: tuple[Rescaled, ...]


def show(path: Path, *, layer: str | None = None) -> list[BlobStatistics]:
    """Returns the statistics of all blobs of a caffemodel, or of those of one layer.

    Raises:
        WeightsError: The file cannot be read, or has no such layer.
    """
    layers = read_weights(path)
    if layer is not None:
        names = [one.name for one in layers]
        layers = [one for one in layers if one.name == layer]
        if not layers:
            raise WeightsError(f"{path}: has no layer '{layer}'{suggestion(layer, names)}")
    return statistics_of(layers)


def initialize(request: InitRequest) -> InitReport:
    """Writes a caffemodel with the values that a net begins with.

    Raises:
        UsageError: The file is there already, or the options contradict each other.
        NetError: Caffe would refuse the net, or calibration finds an output that does not change.
        DataError: The dataset cannot be read.
    """
    check_out(request.out, force=request.force)
    if request.data_dir is not None and not request.is_calibrated:
        raise UsageError("--data is what --calibrate runs on; give both or neither")
    opened = open_net(request.ask)
    if request.data_dir is not None:
        opened = _on_dataset(opened, request.data_dir)
    shapes = opened.shapes()
    bare = tuple(f.name for f in shapes.layers for blob in f.blobs if has_no_filler(f, blob))
    filler = _INSTEAD_OF_ZEROS if request.is_calibrated else None
    layers = initial_arrays(shapes, seed=request.seed, instead_of_zeros=filler)
    rescaled: tuple[Rescaled, ...] = ()
    if request.is_calibrated:
        layers, rescaled = _calibrated(opened, layers, request)
    write_out(request.out, name=opened.net.name, layers=layers)
    return InitReport(values=count_values(layers), without_filler=bare, rescaled=rescaled)


def _calibrated(
    opened: OpenedNet, layers: Sequence[LayerArrays], request: InitRequest
) -> tuple[list[LayerArrays], tuple[Rescaled, ...]]:
    from caffeflow.engine.calibration import calibrate
    from caffeflow.engine.net import Net

    net = Net(opened.graph, opened.shapes(), seed=None)
    net.load(layers)
    batches = _synthetic(net, request) if request.data_dir is None else _read_batches(opened, request)
    rescaled = calibrate(net, batches)
    return net.arrays(), tuple(rescaled)


def _synthetic(net: Net, request: InitRequest) -> list[Feeds]:
    from caffeflow.engine.synthetic import synthetic_feeds

    return [synthetic_feeds(net, seed=request.seed + number) for number in range(request.batches)]


def _read_batches(opened: OpenedNet, request: InitRequest) -> list[Feeds]:
    from contextlib import ExitStack, closing

    from caffeflow.engine.feed.opening import open_feed

    with ExitStack() as stack:
        feeds = {
            layer.name: stack.enter_context(closing(open_feed(layer, phase="TRAIN", seed=request.seed)))
            for layer in opened.net.layer
            if not layer.bottom and layer.type != "Parameter"
        }
        return [{name: feed.next() for name, feed in feeds.items()} for _ in range(request.batches)]


def _on_dataset(opened: OpenedNet, folder: Path) -> OpenedNet:
    """Returns the net with its data layers reading the training images of a dataset."""
    from caffeflow.engine.feed.sources import record_shape

    mean = read_manifest(folder).mean
    layers = [layer for layer in opened.net.layer if layer.type in RECORD_LAYERS]
    if not layers:
        raise NetError(
            "has no data layer, which alone says how pixels become input (mean, scale, crop); give the"
            " train_val file, or leave --data out",
            where=str(opened.net_file.path),
        )
    for layer in layers:
        own_data_layer(layer, DataSettings(data=folder, split="train"))
        layer.image_data_param.shuffle = True  # lists may be sorted by class
        if layer.transform_param.mean_file and mean is not None:
            layer.transform_param.mean_file = str(folder / mean.path)
    return replace(opened, graph=build_graph(opened.net), record_shape=record_shape)
