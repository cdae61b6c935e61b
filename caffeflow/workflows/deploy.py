"""`caffeflow deploy`: from a trained net to a folder that runs somewhere else, proven to give the same.

The one rule to know: everything is made and checked in a folder beside the place asked for, which takes
its name at the very end; so a bundle that is there is one that passed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from caffeflow.engine.net import Net
from caffeflow.errors import NetError, WeightsError
from caffeflow.files import write_atomically, write_text
from caffeflow.layers.inference import infer
from caffeflow.proto.binary import LayerArrays, write_caffemodel
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import format_message, located, read_net
from caffeflow.weights.folding import FoldRow, fold_net
from caffeflow.weights.formats import read_weights
from caffeflow.workflows.bundle import (
    CHECK_NAME,
    DEPLOY_NAME,
    LABEL_MAP_NAME,
    LABELS_NAME,
    MODEL_NAME,
    README_NAME,
    scores_of,
)
from caffeflow.workflows.bundle_folder import check_free, new_folder
from caffeflow.workflows.bundle_page import Page, readme
from caffeflow.workflows.deploy_check import Check
from caffeflow.workflows.deploy_input import Entry, InputSettings, check_size, find_entry
from caffeflow.workflows.deploy_labels import Naming, find_label_map, label_lines
from caffeflow.workflows.deploy_names import with_plain_names
from caffeflow.workflows.deploy_net import DeployNet, deploy_net
from caffeflow.workflows.deploy_proof import Candidate, Proof, load_net, prove
from caffeflow.workflows.deploy_subject import Subject, find_subject


@dataclass(frozen=True, kw_only=True)
class DeployRequest:
    """What the user asks for.

    Attributes:
        subject: A run folder, a solver, a net; None: the only net under models/.
        weights: None: the run's last, or the net's newest.
        out: The bundle's folder.
        labels: A file of class names, or a label map for a net with boxes.
        entry: About pictures and records.
        keep_bn: BatchNorm and Scale stay layers of their own.
        with_opencv: OpenCV has to agree.
        force: Replace a bundle that is there.
        command: What was typed, for the README.
    """

    subject: str | None
    weights: Path | None
    out: Path
    labels: Path | None = None
    entry: InputSettings = field(default_factory=InputSettings)
    keep_bn: bool = False
    with_opencv: bool = True
    force: bool = False
    command: tuple[str, ...] = ("caffeflow", "deploy")


@dataclass(frozen=True, kw_only=True)
class DeployReport:
    """What was made.

    Attributes:
        files: In the bundle, by name.
        folded: What went into what, and what stayed.
        checks: What was compared.
        left_out: Layers that only training and testing need.
    """

    out: Path
    files: tuple[str, ...]
    folded: tuple[FoldRow, ...]
    checks: tuple[Check, ...]
    left_out: tuple[str, ...]

    @property
    def stayed(self) -> tuple[FoldRow, ...]:
        """The layers that could not be folded."""
        return tuple(row for row in self.folded if not row.into)

    def as_json(self) -> dict[str, Any]:
        """Returns plain values."""
        return {
            "bundle": str(self.out),
            "files": list(self.files),
            "folded": [
                {"layer": row.layer, "type": row.type, "outcome": outcome(row)} for row in self.folded
            ],
            "checks": [asdict(check) for check in self.checks],
            "left_out": list(self.left_out),
        }


def deploy(request: DeployRequest, note: Callable[[str], None]) -> DeployReport:
    """Writes a bundle, if it passes its checks.

    Args:
        request: What is asked for.
        note: Gets sentences on what was decided.

    Raises:
        UsageError: There is no such net, or something is in the way.
        NetError: The net cannot be deployed.
        WeightsError: The weights do not fit it, or are not all numbers.
        DataError: Dataset, mean or labels cannot be read or do not fit.
        CheckError: The deployed net gives something else than the tested one.
    """
    check_free(request.out, force=request.force)
    subject = find_subject(request.subject, request.weights, note)
    layers = read_weights(subject.weights)
    _check_numbers(layers, subject.weights)
    entry = find_entry(subject, _first_channels(subject, layers), request.entry, note)
    bare = _bare_net(subject, entry)
    entry = _entering(entry, bare.net)
    candidate, folded = _candidate(bare.net, layers, subject, keep_bn=request.keep_bn)
    names = _names(candidate.final, subject, entry, request, note)
    with new_folder(request.out) as folder:
        files = (folder / DEPLOY_NAME, folder / MODEL_NAME)
        write_text(files[0], format_message(candidate.final))
        write_caffemodel(files[1], name=candidate.final.name, layers=candidate.layers)
        proof = prove(subject, entry, candidate, files, with_opencv=request.with_opencv)
        entry.preprocess.write(folder)
        for name, content in names.items():
            write_atomically(folder / name, content)
        write_atomically(folder / CHECK_NAME, proof.example)
        page = _page(request, subject, entry, candidate, proof, folded, bare)
        write_text(folder / README_NAME, readme(page, folder))
        made = tuple(sorted(path.name for path in folder.iterdir()))
    return DeployReport(
        out=request.out, files=made, folded=folded, checks=proof.checks, left_out=bare.left_out
    )


def outcome(row: FoldRow) -> str:
    """Returns what became of a layer, in words."""
    return f"into {row.into}" if row.into else f"stays: {row.reason}"


def _bare_net(subject: Subject, entry: Entry) -> DeployNet:
    """Returns the net without training's layers: of the deploy file, or derived."""
    if subject.deploy_file is None:
        with located(subject.role.net_file):
            shape = None if subject.records is None else entry.preprocess.shape
            bare = deploy_net(subject.role.net, shape=shape, train_losses=subject.train_losses)
    else:
        net_file = read_net(subject.deploy_file)
        with located(net_file):
            bare = deploy_net(filter_net(net_file.net, net_state("TEST")), shape=None)
    inputs = [layer for layer in bare.net.layer if layer.type == "Input"]
    path = subject.deploy_file or subject.path
    if len(inputs) != 1 or len(inputs[0].top) != 1:
        raise NetError(f"{path}: has {len(inputs)} Input layers; expected one, of images")
    check_size(entry, tuple(inputs[0].input_param.shape[0].dim[1:]), path)
    return bare


def _entering(entry: Entry, net: NetParameter) -> Entry:
    """Returns how records come in, by the name of the net's Input, which may not be the data layer's."""
    name = next(layer.top[0] for layer in net.layer if layer.type == "Input")
    return replace(entry, preprocess=replace(entry.preprocess, input=name))


def _candidate(
    plain: NetParameter, source: Sequence[LayerArrays], subject: Subject, *, keep_bn: bool
) -> tuple[Candidate, tuple[FoldRow, ...]]:
    """Returns the net and its weights as they are to be written, and what was folded."""
    layers = _own_layers(plain, source, subject.weights)
    rows: tuple[FoldRow, ...] = ()
    net = plain
    if not keep_bn:
        folded = fold_net(plain, layers)
        net, layers, rows = folded.net, list(folded.layers), folded.rows
    learned = {layer.name for layer in layers if layer.arrays}
    final = with_plain_names(net, learned=learned)
    written = load_net(final, layers).arrays()
    return Candidate(plain=plain, final=final, source=source, layers=written), rows


def _own_layers(net: NetParameter, source: Sequence[LayerArrays], path: Path) -> list[LayerArrays]:
    """Returns the weights of a net's layers, in its order.

    Raises:
        WeightsError: The file has nothing for a layer, or something of another shape.
    """
    graph = build_graph(net)
    made = Net(graph, infer(graph), seed=None)
    plan = made.load(source)
    if plan.new:
        missing = ", ".join(f"'{name}'" for name in plan.new)
        raise WeightsError(
            f"{path}: has nothing for the net's layers {missing}; weights go by layer name: give those that"
            " were trained with this net"
        )
    return made.arrays()


def _check_numbers(layers: Sequence[LayerArrays], path: Path) -> None:
    broken = [one.name for one in layers if not all(np.isfinite(array).all() for array in one.arrays)]
    if broken:
        listed = ", ".join(f"'{name}'" for name in broken[:5])
        raise WeightsError(
            f"{path}: layers {listed} have weights that are NaN or infinite ({len(broken)} layers in all);"
            " such a net is of no use: take an earlier snapshot"
        )


def _first_channels(subject: Subject, layers: Sequence[LayerArrays]) -> int | None:
    """Returns how many channels the first convolution takes, if it reads the images themselves."""
    if subject.records is None:
        return None
    arrays = {layer.name: layer.arrays for layer in layers if layer.arrays}
    for layer in subject.role.net.layer:
        if subject.records.top[0] in layer.bottom and layer.type == "Convolution" and layer.name in arrays:
            weight = arrays[layer.name][0]
            return int(weight.shape[1]) * layer.convolution_param.group if weight.ndim == 4 else None
    return None


def _names(
    net: NetParameter, subject: Subject, entry: Entry, request: DeployRequest, note: Callable[[str], None]
) -> dict[str, bytes]:
    """Returns the files that tell what classes are called, by name; none for a net without classes."""
    naming = Naming(
        given=request.labels,
        manifest=entry.manifest,
        dataset=entry.dataset,
        folders=tuple({path.parent: None for path in subject.sources}),
        whole_net=subject.role.net,
    )
    if any(layer.type == "DetectionOutput" for layer in net.layer):
        label_map = find_label_map(naming, note)
        return {} if label_map is None else {LABEL_MAP_NAME: label_map}
    graph = build_graph(net)
    try:
        scores = scores_of(graph, infer(graph), what="the deployed net")
    except NetError as error:
        note(f"{error}; so there is no {LABELS_NAME}, and classify does not take the bundle")
        return {}
    lines = label_lines(naming, scores.classes, note)
    return {LABELS_NAME: "".join(f"{line}\n" for line in lines).encode()}


def _page(
    request: DeployRequest, subject: Subject, entry: Entry, candidate: Candidate, proof: Proof,
    folded: Sequence[FoldRow], bare: DeployNet,
) -> Page:  # fmt: skip
    mean = () if entry.mean_file is None else (entry.mean_file,)
    return Page(
        title=candidate.final.name or subject.path.stem,
        command=request.command,
        sources=tuple(dict.fromkeys((*subject.sources, *mean))),
        folded=[(row.layer, row.type, outcome(row)) for row in folded],
        left_out=bare.left_out,
        checks=proof.checks,
        preprocess=entry.preprocess,
        outputs=[value.blob for value in build_graph(candidate.final).outputs],
        finds_boxes=any(layer.type == "DetectionOutput" for layer in candidate.final.layer),
        example="the first record of the dataset" if proof.example_is_record else "a made-up picture",
    )
