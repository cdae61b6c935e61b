"""One net for training, testing and use: the train_val form from a deploy form, and the other way round.

The two forms differ at their ends only. At the head, data layers of two phases or an Input; at the tail,
losses and accuracies or the scores as they are used. The body between them is taken over as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from caffeflow.errors import NetError
from caffeflow.proto.caffe_pb2 import TEST, LayerParameter, NetParameter
from caffeflow.proto.classifier import is_loss
from caffeflow.proto.net import filter_net, net_state

# Layer types that bring images into a net.
_BRINGING: Final = frozenset(
    {"Data", "ImageData", "HDF5Data", "MemoryData", "WindowData", "Input", "Python", "DummyData"}
)
SCORES_OF: Final[Mapping[str, str]] = MappingProxyType(
    {"SoftmaxWithLoss": "Softmax", "InfogainLoss": "Softmax", "SigmoidCrossEntropyLoss": "Sigmoid"}
)
"""What becomes of a loss where there are no labels: the layer that it holds inside, over the same scores."""

_NORMALIZING: Final = ("Softmax", "Sigmoid", "ArgMax")
_IMAGE_AXES: Final = 4
_LABEL: Final = "label"  # of a deploy form that is to be trained


@dataclass(frozen=True, kw_only=True)
class Entry:
    """Where the images come into a net.

    Attributes:
        layers: The data layers of all phases, or the Input.
        images: The blob of the images.
        label: The blob of the labels; None in a deploy form.
    """

    layers: tuple[LayerParameter, ...]
    images: str
    label: str | None

    @property
    def is_deploy(self) -> bool:
        """Whether the net is a deploy form."""
        return self.label is None


def find_entry(net: NetParameter) -> Entry:
    """Returns where the images come into a net with the layers of all phases.

    Raises:
        NetError: There is no such place, or more than one.
    """
    sources = [layer for layer in net.layer if not layer.bottom and layer.type in _BRINGING]
    real = [layer for layer in sources if layer.type != "DummyData"] or sources
    if not real:
        raise NetError("has no data layer and no Input: nothing says where its images come in")
    tops = {tuple(layer.top) for layer in real}
    if len(tops) > 1 or any(len(each) > 2 for each in tops):
        listed = ", ".join(f"'{layer.name}' ({layer.type}: {', '.join(layer.top)})" for layer in real)
        raise NetError(
            f"its images come in at more than one place: {listed}; expected one data layer in each phase,"
            " with the same tops (images and labels), or one Input of images"
        )
    (blobs,) = tops
    if len(blobs) == 1 and any(layer.type != "Input" for layer in real):
        raise NetError("brings no labels; expected images and labels as its two tops", layer=real[0].name)
    return Entry(layers=tuple(real), images=blobs[0], label=blobs[1] if len(blobs) > 1 else None)


def input_size_of(entry: Entry) -> tuple[int, int, int] | None:
    """Returns channels, height and width of an Input; None if data layers decide."""
    for layer in entry.layers:
        for shape in layer.input_param.shape[:1]:
            if len(shape.dim) == _IMAGE_AXES:
                return int(shape.dim[1]), int(shape.dim[2]), int(shape.dim[3])
    return None


def body_of(net: NetParameter, entry: Entry) -> NetParameter:
    """Returns a net without its data layers or Input, and with losses where it had none.

    Raises:
        NetError: A deploy form whose scores are not known.
    """
    layers = [layer for layer in net.layer if not _is_among(layer, entry.layers)]
    body = _copy_of(net, _with_loss(layers) if entry.is_deploy else layers)
    body.ClearField("state")
    return body


def deploy_body_of(body: NetParameter, entry: Entry) -> NetParameter:
    """Returns a body as it is used: scores in place of losses, nothing that needs labels.

    Of several losses the last one counts; what leads to the others only is left out.

    Raises:
        NetError: The net has no loss to take the scores of.
    """
    layers = filter_net(body, net_state("TEST")).layer
    losses = [layer for layer in layers if is_loss(layer)] or [each for each in body.layer if is_loss(each)]
    if not losses:
        raise NetError("has no loss layer, so its scores are not known; give a net that can be trained")
    scores = losses[-1].bottom[0]
    if not any(scores in layer.top for layer in layers):
        raise NetError(f"its scores '{scores}' are not made in the TEST phase", layer=losses[-1].name)
    kept = _without_labels(layers, entry, scores)
    if not any(layer.type in _NORMALIZING and scores in layer.bottom for layer in kept):
        kept += _scores_of(losses[-1], kept)
    for layer in kept:
        layer.ClearField("include")
        layer.ClearField("exclude")
    return _copy_of(body, kept)


def with_data(body: NetParameter, entry: Entry, data: Iterable[LayerParameter]) -> NetParameter:
    """Returns a net of a body and layers for its images, whose tops are `data` and perhaps `label`.

    Data layers get the name that the net's own had, and all get the blobs that the body reads.
    """
    names = {"data": entry.images, "label": entry.label or _LABEL}
    joined = []
    for layer in data:
        copy = LayerParameter()
        copy.CopyFrom(layer)
        for field in (copy.bottom, copy.top):
            field[:] = [names.get(blob, blob) for blob in field]
        if not copy.bottom and len(copy.top) > 1 and not entry.is_deploy:
            copy.name = entry.layers[0].name
        joined.append(copy)
    return _copy_of(body, [*joined, *body.layer])


def _copy_of(net: NetParameter, layers: Iterable[LayerParameter]) -> NetParameter:
    made = NetParameter()
    made.CopyFrom(net)
    made.ClearField("layer")
    made.layer.extend(layers)
    return made


def _is_among(layer: LayerParameter, others: Iterable[LayerParameter]) -> bool:
    return any(layer is other for other in others)


def _with_loss(body: Sequence[LayerParameter]) -> list[LayerParameter]:
    """Puts accuracy and loss where a deploy form has a softmax, or behind its only output."""
    kept = list(body)
    while kept and kept[-1].type in _NORMALIZING:
        kept.pop()
    made = dict.fromkeys(top for layer in kept for top in layer.top)
    read = {bottom for layer in kept for bottom in layer.bottom if bottom not in layer.top}
    outputs = [blob for blob in made if blob not in read]
    if len(outputs) != 1:
        found = ", ".join(f"'{each}'" for each in outputs) or "none"
        raise NetError(
            f"a deploy file must have one output, the scores, to be trained; found {found}; give the"
            " train_val file"
        )
    bottoms = [outputs[0], _LABEL]
    accuracy = LayerParameter(name="accuracy", type="Accuracy", bottom=bottoms, top=["accuracy"])
    accuracy.include.add(phase=TEST)
    loss = LayerParameter(name="loss", type="SoftmaxWithLoss", bottom=bottoms, top=["loss"])
    return [*kept, accuracy, loss]


def _scores_of(loss: LayerParameter, layers: Sequence[LayerParameter]) -> list[LayerParameter]:
    kind = SCORES_OF.get(loss.type)
    if kind is None:
        return []
    names = {layer.name for layer in layers}
    name = "prob" if "prob" not in names else "scores"
    return [LayerParameter(name=name, type=kind, bottom=[loss.bottom[0]], top=[name])]


def _without_labels(layers: Sequence[LayerParameter], entry: Entry, scores: str) -> list[LayerParameter]:
    """Leaves out what needs labels, and then what led only there."""
    gone, kept = {entry.label or _LABEL}, []
    orphans: set[str] = set()
    for layer in layers:
        if any(bottom in gone for bottom in layer.bottom) or is_loss(layer):
            gone |= {top for top in layer.top if top not in layer.bottom}
            orphans |= set(layer.bottom)
        else:
            kept.append(layer)
    orphans -= {scores, entry.images}
    while True:
        read = {bottom for layer in kept for bottom in layer.bottom if bottom not in layer.top}
        idle = [
            layer
            for layer in kept
            if layer.top and all(top in orphans and top not in read for top in layer.top)
        ]
        if not idle:
            return kept
        orphans |= {bottom for layer in idle for bottom in layer.bottom} - {scores, entry.images}
        kept = [layer for layer in kept if not _is_among(layer, idle)]
