"""The proof of a bundle, on records of the dataset where they are there, and on made-up pictures.

Three nets stand side by side: the one that was tested, on its own data layer's batches; the deployed one
in this engine; and the deployed one as OpenCV reads its files.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.net import Net
from caffeflow.engine.synthetic import synthetic_feeds
from caffeflow.engine.training import Feeds
from caffeflow.layers.inference import infer
from caffeflow.layers.spec import Shape
from caffeflow.proto.binary import LayerArrays
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.workflows.deploy_check import (
    Check,
    Floats,
    check_opencv,
    compare,
    partners,
    probes_of,
    run_net,
)
from caffeflow.workflows.deploy_input import Entry
from caffeflow.workflows.deploy_subject import Subject
from caffeflow.workflows.open_net import set_batch_size

_IMAGES: Final = 4
_SEED: Final = 5


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A net on its way to deployment.

    Attributes:
        plain: Without training's layers, before anything is folded or renamed.
        final: As it is written.
        source: The weights' layers, as they were read.
        layers: Those of the final net.
    """

    plain: NetParameter
    final: NetParameter
    source: Sequence[LayerArrays]
    layers: Sequence[LayerArrays]


class Batch(NamedTuple):
    """What a batch is of, the tops of the data layer by its name, and the images alone."""

    what: str
    feeds: Feeds
    images: Any


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was compared, and an input with what the net makes of it, for `check.npz`."""

    checks: tuple[Check, ...]
    example: bytes
    example_is_record: bool


def prove(
    subject: Subject, entry: Entry, candidate: Candidate, files: tuple[Path, Path], *, with_opencv: bool
) -> Proof:
    """Compares a deployed net with the tested one.

    Args:
        subject: What is deployed.
        entry: How records come to it.
        candidate: The net.
        files: Its prototxt and caffemodel, as written.
        with_opencv: Whether OpenCV is asked too.

    Raises:
        CheckError: The nets differ.
        NetError: There is nothing to compare.
    """
    final = load_net(candidate.final, candidate.layers)
    blobs = probes_of(final.graph)
    checks: list[Check] = []
    batches = _batches(subject, entry, candidate)
    for what, feeds, images in batches:
        expected = _expected(subject, entry, candidate, feeds)
        found = run_net(final, {entry.preprocess.input: (images,)}, blobs)
        checks += compare(f"the tested net, on {what}", expected, found, blobs)
    one = batches[0].images[:1]
    if with_opencv:
        checks += check_opencv(final, files, {entry.preprocess.input: one}, blobs)
    return Proof(
        checks=tuple(checks),
        example=_example(final, entry.preprocess.input, one, blobs),
        example_is_record=entry.has_records,
    )


def load_net(net: NetParameter, layers: Sequence[LayerArrays]) -> Net:
    """Returns a deployed net with its weights, on the CPU."""
    graph = build_graph(net)
    made = Net(graph, infer(graph), seed=None)
    made.load(layers)
    return made


def _batches(subject: Subject, entry: Entry, candidate: Candidate) -> list[Batch]:
    """Returns the batches to compare on."""
    found = []
    if entry.has_records:
        layer = LayerParameter()
        layer.CopyFrom(entry.layer)
        _shrink(layer)
        with closing(open_feed(layer, phase="TEST", seed=0)) as feed:
            tops = feed.next()
        found.append(Batch("records of its dataset", {layer.name: tops}, tops[0]))
    tested = _tested(subject, entry, candidate)
    made_up = synthetic_feeds(tested, seed=_SEED)
    (images,) = (tops[0] for name, tops in made_up.items() if name == tested.fed[0].name)
    found.append(Batch("made-up pictures", made_up, images))
    return found


def _expected(subject: Subject, entry: Entry, candidate: Candidate, feeds: Feeds) -> list[Floats]:
    """Returns what the tested net makes where the deployed one is compared."""
    tested = _tested(subject, entry, candidate)
    pairs = partners(tested.graph, build_graph(candidate.plain))
    fed = {tested.fed[0].name: next(iter(feeds.values()))[: len(tested.fed[0].facts.node.tops)]}
    return run_net(tested, fed, [blob for blob, _ in pairs])


def _tested(subject: Subject, entry: Entry, candidate: Candidate) -> Net:
    """Returns the net as it was tested, whole; for a deploy net as it was, before folding."""
    net = NetParameter()
    net.CopyFrom(candidate.plain if subject.records is None else subject.role.net)
    set_batch_size(net, _IMAGES)

    def record_shape(_layer: LayerParameter) -> Shape:
        return entry.record

    graph = build_graph(net)
    made = Net(graph, infer(graph, record_shape=record_shape), seed=None)
    made.load(candidate.source)
    return made


def _shrink(layer: LayerParameter) -> None:
    """Lets a data layer take few records, in order."""
    net = NetParameter()
    net.layer.add().CopyFrom(layer)
    set_batch_size(net, _IMAGES)
    layer.CopyFrom(net.layer[0])
    layer.image_data_param.shuffle = False
    layer.image_data_param.ClearField("rand_skip")


def _example(net: Net, entry: str, images: Any, blobs: Sequence[str]) -> bytes:
    """Returns an input and what the net makes of it as the bytes of an .npz file."""
    outputs = [output.value.blob for output in net.outputs]
    names = list(dict.fromkeys([*blobs, *outputs]))
    arrays = dict(zip(names, run_net(net, {entry: (images,)}, names), strict=True))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # np.savez takes no array called `file`
        for name, array in {entry: images.numpy(), **arrays}.items():
            with archive.open(f"{name}.npy", "w") as out:
                np.lib.format.write_array(out, array, allow_pickle=False)
    return buffer.getvalue()
