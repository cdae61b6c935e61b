"""`caffeflow weights fold-bn`: a net without its BatchNorms, proven by running both nets.

What is written is the net of phase TEST: folded statistics cannot be trained any further. The one rule to
know: both files or none, and none if any output differs.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from caffeflow.errors import CaffeflowError, UsageError
from caffeflow.files import write_text
from caffeflow.proto.binary import LayerArrays, write_caffemodel
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.text import format_message, located
from caffeflow.weights.folding import FoldRow, fold_net
from caffeflow.weights.formats import read_weights
from caffeflow.workflows.open_net import Ask, OpenedNet, open_net, set_batch_size
from caffeflow.workflows.same_outputs import TOLERANCE, Difference, compare_nets, require_same
from caffeflow.workflows.test_data import (
    RECORD_LAYERS,
    DataSettings,
    deploy_data_layer,
    find_image_input,
    own_data_layer,
    source_of,
)
from caffeflow.workflows.weights_into_net import fitting

if TYPE_CHECKING:
    from caffeflow.engine.net import Net
    from caffeflow.engine.training import Feeds

_LOG: Final = logging.getLogger(__name__)
_SEEDS: Final = (0, 1)


@dataclass(frozen=True, kw_only=True)
class FoldRequest:
    """What is to be folded.

    Attributes:
        ask: The net.
        weights: Its weights.
        out: A folder (one that is there, or a name that ends in `/`), for the net's own file names; else
            what the names of both files begin with.
        data: A dataset or LMDB of which both nets see a batch; None: the net's own, if it is there.
        tolerance: By how much of its largest value an output may differ.
        force: Replace files that are there.
    """

    ask: Ask
    weights: Path
    out: str
    data: Path | None = None
    tolerance: float = TOLERANCE
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class FoldReport:
    """What was folded.

    Attributes:
        rows: What became of each BatchNorm, Scale and Bias.
        ran_on: What both nets ran on.
        worst: The worst difference of an output, on all of that.
        prototxt: The net written.
        caffemodel: The weights written.
    """

    rows: tuple[FoldRow, ...]
    ran_on: tuple[str, ...]
    worst: Difference
    prototxt: Path
    caffemodel: Path


def fold_bn(request: FoldRequest) -> FoldReport:
    """Folds a net and writes it, if both nets compute the same.

    Raises:
        UsageError: The files are there already, or there is nothing to fold.
        WeightsError: The weights are not the net's.
        NetError: The net is one that Caffe would refuse.
        DataError: The dataset cannot be read.
        CheckError: The outputs differ.
    """
    from caffeflow.engine.typical_input import typical_feeds

    opened = open_net(replace(request.ask, batch_size=None))
    prototxt, caffemodel = _out_files(request, opened)
    read = read_weights(request.weights)
    layers = fitting(opened, read, path=request.weights, asked=request.ask.net)
    with located(opened.net_file):
        folded = fold_net(opened.net, layers)
    if not any(row.into for row in folded.rows):
        why = folded.rows[0].reason if folded.rows else "it has no BatchNorm, Scale or Bias"
        raise UsageError(f"{opened.net_file.path}: there is nothing to fold: {why}")
    before, after = (
        loaded(with_net(opened, net, batch_size=request.ask.batch_size), its)
        for net, its in ((opened.net, layers), (folded.net, folded.layers))
    )
    batches: list[Feeds] = [typical_feeds(before, seed=seed) for seed in _SEEDS]
    ran_on = [f"{len(_SEEDS)} made-up batches"]
    real = _find_data(opened, request)
    if real is not None:
        batches.append({**batches[0], **_first_batch(before, real)})
        ran_on.append(f"a batch of {source_of(real)}")
    worst = require_same(
        compare_nets(before, after, batches), what="the folded net", tolerance=request.tolerance
    )
    _write(prototxt, caffemodel, without_state(folded.net), folded.layers)
    return FoldReport(
        rows=folded.rows, ran_on=tuple(ran_on), worst=worst, prototxt=prototxt, caffemodel=caffemodel
    )


def with_net(opened: OpenedNet, net: NetParameter, *, batch_size: int | None = None) -> OpenedNet:
    """Returns another net in an opened one's place, running so many items at once; the net is not changed."""
    running = NetParameter()
    running.CopyFrom(net)
    if batch_size is not None:
        set_batch_size(running, batch_size)
    return replace(opened, net=running, graph=build_graph(running))


def loaded(opened: OpenedNet, layers: Sequence[LayerArrays]) -> Net:
    """Returns a net with its weights, ready to run."""
    from caffeflow.engine.net import Net

    with located(opened.net_file):
        net = Net(opened.graph, opened.shapes(), seed=None)
    net.load(layers)
    return net


def without_state(net: NetParameter) -> NetParameter:
    """Returns a net of one phase as a file: without the state that it was filtered for."""
    written = NetParameter()
    written.CopyFrom(net)
    written.ClearField("state")
    return written


def _find_data(opened: OpenedNet, request: FoldRequest) -> LayerParameter | None:
    """Returns the data layer that brings real input, or None if there is none to be had."""
    own = [layer for layer in opened.net.layer if layer.type in RECORD_LAYERS]
    settings = DataSettings(data=request.data, batch_size=request.ask.batch_size)
    if len(own) == 1:
        layer = LayerParameter()
        layer.CopyFrom(own[0])
        own_data_layer(layer, settings)
        return layer if request.data is not None or source_of(layer).exists() else None
    if request.data is None:
        return None
    net = NetParameter()
    net.CopyFrom(opened.net)
    batch_size = request.ask.batch_size or _input_batch(net)
    has_boxes = any(layer.type == "DetectionOutput" for layer in net.layer)
    return deploy_data_layer(
        net, opened.net_file.path, replace(settings, batch_size=batch_size), _LOG.info, has_boxes=has_boxes
    )


def _input_batch(net: NetParameter) -> int:
    entry = find_image_input(net)
    return entry.input_param.shape[0].dim[0] if entry is not None else 1


def _first_batch(before: Net, layer: LayerParameter) -> Feeds:
    """Returns the first batch of a data layer, for the net's own data layer or its Input."""
    from contextlib import closing

    from caffeflow.engine.feed.opening import open_feed

    with closing(open_feed(layer, phase="TEST", seed=0)) as feed:
        tops = feed.next()
    fed = next(each for each in before.fed if each.name == layer.name)
    return {layer.name: tops[: len(fed.facts.node.tops)]}


def _out_files(request: FoldRequest, opened: OpenedNet) -> tuple[Path, Path]:
    """Returns the prototxt and the caffemodel to write."""
    out = Path(request.out)
    if out.is_dir() or request.out.endswith("/"):
        name = Path(opened.net_file.path).name.split()[-1]
        prototxt, caffemodel = out / name, out / f"{request.weights.name.split('.')[0]}.caffemodel"
    else:
        prototxt, caffemodel = Path(f"{out}.prototxt"), Path(f"{out}.caffemodel")
    for path in (prototxt, caffemodel):
        if path.exists() and path.resolve() in (request.weights.resolve(), opened.net_file.path.resolve()):
            raise UsageError(f"{path}: is what would be folded; choose another --out")
        if path.exists() and not request.force:
            raise UsageError(f"{path}: is there already; replace it with --force, or choose another --out")
    return prototxt, caffemodel


def _write(prototxt: Path, caffemodel: Path, net: NetParameter, layers: Sequence[LayerArrays]) -> None:
    prototxt.parent.mkdir(parents=True, exist_ok=True)
    was_there = caffemodel.exists()
    write_caffemodel(caffemodel, name=net.name, layers=layers)
    try:
        write_text(prototxt, format_message(net))
    except CaffeflowError:
        if not was_there:
            caffemodel.unlink()
        raise
