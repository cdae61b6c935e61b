"""`caffeflow weights fold-bn`: a net without its BatchNorms, proven by running both nets.

What is written is the net of phase TEST: folded statistics cannot be trained any further. The one rule to
know: both files or none, and none if any output differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from caffeflow.errors import UsageError, WeightsError
from caffeflow.files import write_text
from caffeflow.proto.binary import LayerArrays, read_caffemodel, write_caffemodel
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.text import format_message, located
from caffeflow.weights.folding import FoldRow, fold_net
from caffeflow.workflows.open_net import Ask, OpenedNet, open_net
from caffeflow.workflows.same_outputs import TOLERANCE, Difference, compare_nets, require_same

if TYPE_CHECKING:
    from caffeflow.engine.net import Net

_SEEDS: Final = (0, 1)


@dataclass(frozen=True, kw_only=True)
class FoldRequest:
    """What is to be folded.

    Attributes:
        ask: The net.
        weights: Its weights.
        out: A folder, for the net's own file names, or what the names of both files begin with.
        tolerance: By how much of its largest value an output may differ.
        force: Replace files that are there.
    """

    ask: Ask
    weights: Path
    out: Path
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

    opened = open_net(request.ask)
    prototxt, caffemodel = _out_files(request, opened)
    layers = fitted(opened, request.weights)
    with located(opened.net_file):
        folded = fold_net(opened.net, layers)
    if not any(row.into for row in folded.rows):
        why = folded.rows[0].reason if folded.rows else "it has no BatchNorm, Scale or Bias"
        raise UsageError(f"{opened.net_file.path}: there is nothing to fold: {why}")
    before = loaded(opened, layers)
    after = loaded(replace(opened, net=folded.net, graph=build_graph(folded.net)), folded.layers)
    batches = [typical_feeds(before, seed=seed) for seed in _SEEDS]
    ran_on = (f"{len(_SEEDS)} made-up batches",)
    worst = require_same(
        compare_nets(before, after, batches), what="the folded net", tolerance=request.tolerance
    )
    _write(prototxt, caffemodel, without_state(folded.net), folded.layers)
    return FoldReport(rows=folded.rows, ran_on=ran_on, worst=worst, prototxt=prototxt, caffemodel=caffemodel)


def fitted(opened: OpenedNet, weights: Path) -> list[LayerArrays]:
    """Returns the layers of a file for a net, all of whose layers must get theirs.

    Raises:
        WeightsError: The file cannot be read, does not fit, or lacks a layer.
    """
    from caffeflow.proto.matching import match

    layers = read_caffemodel(weights)
    targets: dict[str, list[tuple[int, ...]]] = {}
    for facts in opened.shapes().layers:
        targets.setdefault(facts.name, [blob.shape for blob in facts.blobs])
    try:
        plan = match(layers, targets)
    except WeightsError as error:
        raise WeightsError(f"{weights}: {error}") from error
    if plan.new:
        raise WeightsError(
            f"{weights}: has nothing for layer '{plan.new[0]}' ({len(plan.new)} layers are missing); see what"
            f" fits: caffeflow weights diff {weights} {opened.net_file.path}"
        )
    arrays = dict(plan.copied)
    return [replace(layer, arrays=arrays.get(layer.name, ())) for layer in layers if layer.name in targets]


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


def _out_files(request: FoldRequest, opened: OpenedNet) -> tuple[Path, Path]:
    """Returns the prototxt and the caffemodel to write."""
    out = request.out
    if out.is_dir() or str(out).endswith("/"):
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
    write_caffemodel(caffemodel, name=net.name, layers=layers)
    write_text(prototxt, format_message(net))
