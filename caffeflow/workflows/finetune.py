"""Fine-tuning: a net with a new classifier, pointed at a dataset, and the weights it begins with.

Files are written first, then the weights are looked at: the table of what is copied is known before
anything trains. The user's own prototxt is only read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from caffeflow.errors import NetError, UsageError
from caffeflow.layers.inference import NetShapes, infer
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.classifier import (
    NewLayer,
    begin_anew,
    check_layers,
    drop_idle_accuracies,
    find_classifiers,
)
from caffeflow.proto.freezing import Frozen, freeze, layers_up_to
from caffeflow.proto.graph import Graph, build_graph
from caffeflow.proto.net import filter_net, net_state
from caffeflow.render.check import Figures, check
from caffeflow.render.dataset import Dataset
from caffeflow.render.resolve import Resolution
from caffeflow.render.writing import check_free, write_files
from caffeflow.weights.copying import CopyTable
from caffeflow.workflows.finetune_net import STAGES, Origin, fitted, open_origin, with_stand_in
from caffeflow.workflows.finetune_text import Changes, texts_of
from caffeflow.workflows.finetune_weights import Start, find_start, look_into
from caffeflow.workflows.render import MODELS_DIR, Request, find_dataset, record_shape_of, resolve_for

_PRETRAINED: Final = "pretrained"
_NO_DATASET: Final = "new"
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, kw_only=True)
class FinetuneRequest:
    """What is to be fine-tuned, and how.

    Attributes:
        origin: A net of the catalogue, or a train_val or deploy prototxt.
        command: The command line, for the comments.
        variant: Of a catalogue net.
        weights: A file, or a name in the zoo; None for the net's published ones.
        data_dir: A dataset folder, or None for the only one under `data/`.
        classes: How many; None for the dataset's.
        name: What is put behind the classifier's name; None for the dataset's, else `new`.
        layers: The layers to begin anew; none: the classifier is found.
        lr_mult: Of the new layers' weights.
        freeze: The last layer that shall not learn.
        keep_statistics: Frozen BatchNorms use their stored statistics in training too.
        mean: As render's; `pretrained` for what the net was trained with.
        assignments: Variable name to text, as given by options and `--set`.
        out_dir: Folder to write; None for `models/NET`.
        is_relative: Whether paths are written relative to the working folder.
    """

    origin: str
    command: str
    variant: str | None = None
    weights: str | None = None
    data_dir: Path | None = None
    classes: int | None = None
    name: str | None = None
    layers: tuple[str, ...] = ()
    lr_mult: float = 10.0
    freeze: str | None = None
    keep_statistics: bool = False
    mean: str | None = None
    assignments: Mapping[str, str] = field(default_factory=dict)
    out_dir: Path | None = None
    is_relative: bool = False


@dataclass(frozen=True, kw_only=True)
class FinetuneReport:
    """What was written, and what the weights are good for.

    Attributes:
        net: The net's name.
        out_dir: The folder.
        paths: The files written.
        renamed: Old layer name to new one.
        frozen: What learns no more.
        figures: What the net costs.
        start: The weights to begin with.
        table: What is copied; None without weights.
        problem: Why it cannot train yet; empty if it can.
        notes: What the user should be told.
    """

    net: str
    out_dir: Path
    paths: list[Path]
    renamed: Mapping[str, str]
    frozen: Frozen
    figures: Figures
    start: Start
    table: CopyTable | None
    problem: str
    notes: Sequence[str]

    @property
    def solver(self) -> Path:
        """The solver."""
        return self.out_dir / "solver.prototxt"


def finetune(request: FinetuneRequest, *, force: bool = False) -> FinetuneReport:
    """Writes a net with a new classifier, its solver and scripts, and looks into the weights.

    Raises:
        TemplateError: An unknown net or variable, or values that do not fit.
        UsageError: Options that contradict each other, or files would be replaced without `force`.
        NetError: The net is not one to be fine-tuned, or its classifier is not known.
        DataError: The dataset cannot be read.
    """
    origin = open_origin(request.origin, request.variant)
    dataset = find_dataset(origin.net, request.data_dir)
    _check(request, dataset)
    name = _layer_suffix(request, dataset)
    out_dir = _out_dir(request, origin, name)
    if dataset.is_missing:
        origin = with_stand_in(origin, name=name, classes=request.classes or 2)
    origin = fitted(origin, dataset, request.assignments)
    resolution = resolve_for(origin.net, _render_request(request, origin, out_dir))
    new = NewLayer(name=name, num_output=resolution["net.classes"], lr_mult=request.lr_mult)
    nets = {stage: origin.stage(stage, resolution, request.command) for stage in STAGES}
    try:
        changes = _change(nets, request, resolution, new)
    except NetError as error:
        error.where = error.where or str(origin.path or f"net '{origin.net.name}'")
        raise
    published = origin.net if origin.path is None else None
    start = find_start(request.weights, published, out_dir, resolution.places)
    texts = texts_of(nets, resolution, changes, start, command=request.command)
    if not force:
        check_free(out_dir, texts)
    figures = check(texts, out_dir=out_dir, record_shape=record_shape_of(resolution))
    paths = write_files(out_dir, texts)
    looked = look_into(
        start,
        _target(nets["train_val"], resolution),
        renamed=changes.renamed.values(),
        frozen=changes.frozen.layers,
    )
    return FinetuneReport(
        net=origin.net.name,
        out_dir=out_dir,
        paths=[*paths, *looked.written],
        renamed=changes.renamed,
        frozen=changes.frozen,
        figures=figures,
        start=start,
        table=looked.table,
        problem=looked.problem,
        notes=[*origin.notes, *resolution.notes, *changes.notes, *looked.notes],
    )


def _check(request: FinetuneRequest, dataset: Dataset) -> None:
    if request.keep_statistics and request.freeze is None:
        raise UsageError("--freeze-statistics is for frozen layers; say with --freeze LAYER which they are")
    given = {"net.classes", "classes"} & set(request.assignments)
    if given:
        raise UsageError(f"--set {given.pop()}: give the number of classes with --classes")
    if dataset.is_missing and request.classes is None:
        raise UsageError(
            "there is no dataset under data/ to count classes of; give --classes N, or --data DATASET"
        )
    if dataset.is_missing or request.classes in (None, dataset.classes):
        return
    raise UsageError(
        f"--classes {request.classes}, but dataset '{dataset.name}' ({dataset.folder}) has"
        f" {dataset.classes} classes; leave --classes out, or name another dataset with --data"
    )


def _layer_suffix(request: FinetuneRequest, dataset: Dataset) -> str:
    if request.name is None:
        return _NO_DATASET if dataset.is_missing else _NOT_IN_NAMES.sub("_", dataset.name)
    if not request.name or _NOT_IN_NAMES.search(request.name):
        raise UsageError(
            f"--name '{request.name}': becomes part of a layer's name; use letters, digits, '_', '-' and '.'"
        )
    return request.name


def _out_dir(request: FinetuneRequest, origin: Origin, name: str) -> Path:
    """Returns where to write: never over the user's prototxt."""
    usual = MODELS_DIR / origin.net.name
    out_dir = request.out_dir or usual
    if origin.path is None or out_dir.resolve() != origin.path.resolve().parent:
        return out_dir
    if request.out_dir is None:
        return MODELS_DIR / f"{origin.net.name}-{name}"
    if origin.path.stem in STAGES:
        raise UsageError(
            f"--out {out_dir}: '{origin.path}' lies there and is never written over; name another folder"
        )
    return out_dir


def _render_request(request: FinetuneRequest, origin: Origin, out_dir: Path) -> Request:
    assignments = dict(request.assignments)
    if request.classes is not None:
        assignments["net.classes"] = str(request.classes)
    if request.mean is not None:
        assignments |= _mean(request.mean, origin)
    return Request(
        net=origin.net.name,
        data_dir=request.data_dir,
        assignments=assignments,
        out_dir=out_dir,
        is_relative=request.is_relative,
        command=request.command,
    )


def _mean(asked: str, origin: Origin) -> dict[str, str]:
    """Returns what `--mean` assigns."""
    if asked != _PRETRAINED:
        return {"data.mean": asked}
    if origin.mean_file:
        return {"data.mean": "file", "data.mean_file": origin.mean_file}
    if origin.entry is not None and origin.entry.is_deploy:
        raise UsageError(
            "--mean pretrained: a deploy file does not say what its net was trained with; give its train_val"
            " file, or the numbers: --mean 104,117,123"
        )
    defaults = {each.name: each.default for each in origin.net.variables}
    if defaults["data.mean"] == "none":
        return {"data.mean": "none"}
    # Nobody has the mean image of a catalogue net's pretraining; its means over the channels are known.
    return {"data.mean": ",".join(f"{value:g}" for value in defaults["data.mean_values"])}


def _change(
    nets: Mapping[str, NetParameter], request: FinetuneRequest, resolution: Resolution, new: NewLayer
) -> Changes:
    """Begins the classifier anew in all stages, and freezes what shall not learn."""
    train_val = nets["train_val"]
    graph = _train_graph(train_val)
    check_layers(train_val, request.layers)
    chosen = request.layers or find_classifiers(graph)
    frozen = Frozen((), ())
    if request.freeze is not None:
        frozen = _freeze(train_val, graph, request, resolution, chosen)
    idle = drop_idle_accuracies(train_val, new.num_output)
    renamed = begin_anew(train_val, chosen, new)
    begin_anew(nets["deploy"], chosen, new)
    notes = [f"accuracy '{name}' is left out: it means nothing for {new.num_output} classes" for name in idle]
    if frozen.batch_norms:
        notes.append(
            f"{len(frozen.batch_norms)} frozen BatchNorm layers still normalise by each training batch and"
            " average it into their statistics, as Caffe does whatever lr_mult says; --freeze-statistics"
            " holds them too (use_global_stats)"
        )
    return Changes(renamed=renamed, new=new, frozen=frozen, until=request.freeze, notes=tuple(notes))


def _freeze(
    net: NetParameter,
    graph: Graph,
    request: FinetuneRequest,
    resolution: Resolution,
    chosen: Sequence[str],
) -> Frozen:
    until = str(request.freeze)
    names = layers_up_to(graph, until)
    above = [name for name in chosen if name in names]
    if above:
        raise UsageError(
            f"--freeze {until}: would freeze the new layer '{above[0]}' too; name a layer before it"
        )
    shapes = _shapes(graph, resolution)
    counts = {facts.name: len(facts.blobs) for facts in shapes.layers}
    return freeze(net, names, counts, keep_statistics=request.keep_statistics)


def _train_graph(net: NetParameter) -> Graph:
    return build_graph(filter_net(net, net_state("TRAIN")))


def _shapes(graph: Graph, resolution: Resolution) -> NetShapes:
    record = record_shape_of(resolution)
    return infer(graph, record_shape=lambda _: record)


def _target(net: NetParameter, resolution: Resolution) -> dict[str, list[tuple[int, ...]]]:
    """Returns the shapes of every layer's blobs; of layers of one name the first counts, as in Caffe."""
    target: dict[str, list[tuple[int, ...]]] = {}
    for facts in _shapes(_train_graph(net), resolution).layers:
        target.setdefault(facts.name, [blob.shape for blob in facts.blobs])
    return target
