"""A net as it is deployed, made of the net as it was tested: surgery on messages, no weights.

What takes records becomes an Input, a loss becomes the Softmax or Sigmoid that it holds, and whatever
needs labels, or is nothing at all in testing (Dropout), goes. Of several losses those with the largest
weight are what the net is for; the branches of the others, there to help training along, go too.
A Silence stays only over tops that would be outputs without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor

from caffeflow.errors import NetError
from caffeflow.layers.spec import Shape, spec_for
from caffeflow.proto.caffe_pb2 import BlobShape, FillerParameter, LayerParameter, NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.stages import SCORES_OF

_JUDGES: Final = ("Accuracy", "Silence")
_IDENTITY: Final = "Dropout"
_NO_RECORDS: Final = ("Input", "Parameter", "DummyData")
_OF_TRAINING: Final = ("include", "exclude", "loss_weight", "propagate_down", "phase", "blobs")


@dataclass(frozen=True, kw_only=True)
class DeployNet:
    """A net without anything of training.

    Attributes:
        left_out: The layers that are gone, by name and type.
    """

    net: NetParameter
    left_out: tuple[str, ...]


@dataclass
class _Surgery:
    """What is known while the layers are gone through in order."""

    kept: list[LayerParameter] = field(default_factory=list)
    losses: list[tuple[LayerParameter, float]] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)  # labels, and what is made of them
    wanted: list[str] = field(default_factory=list)
    helping: set[str] = field(default_factory=set)  # blobs that only losses and judges read


def find_record_layer(net: NetParameter) -> LayerParameter | None:
    """Returns the layer that brings records into a filtered net; None for a net with an Input.

    Raises:
        NetError: There are several.
    """
    found = [layer for layer in net.layer if not layer.bottom and layer.type not in _NO_RECORDS]
    if len(found) > 1:
        names = " and ".join(f"'{layer.name}'" for layer in found)
        raise NetError(f"has {len(found)} data layers, {names}; a net to deploy has one input of images")
    return found[0] if found else None


def deploy_net(
    net: NetParameter, *, shape: Shape | None, train_losses: Sequence[LayerParameter] = ()
) -> DeployNet:
    """Returns the net without layers and fields that only training and testing need.

    Args:
        net: The net in its TEST phase.
        shape: (C, H, W) of what comes to the net; None if it has an Input that says so.
        train_losses: The losses of its TRAIN phase, for a net that is tested without any.

    Raises:
        NetError: Nothing is left that could be deployed.
    """
    work = _Surgery()
    for layer in net.layer:
        _take(layer, shape, work)
    if not work.losses:
        known = {top for layer in work.kept for top in layer.top}
        work.losses += [(one, _weight(one)) for one in train_losses if one.bottom[0] in known]
    _end_in_activations(work)
    made = NetParameter(name=net.name)
    made.layer.extend(work.kept)
    _prune(made, work)
    for layer in made.layer:
        _strip(layer)
    if all(layer.type == "Input" for layer in made.layer):
        raise NetError("has nothing to deploy: no layer makes an output without labels")
    names = [layer.name for layer in made.layer]
    gone = tuple(f"{layer.name} ({layer.type})" for layer in net.layer if layer.name not in names)
    return DeployNet(net=made, left_out=gone)


def losses_of(net: NetParameter) -> list[LayerParameter]:
    """Returns the losses of a filtered net."""
    return [layer for layer in net.layer if spec_for(layer).default_loss_weight]


def _take(layer: LayerParameter, shape: Shape | None, work: _Surgery) -> None:
    """Decides on one layer: kept, replaced or left out."""
    if not layer.bottom and layer.type not in _NO_RECORDS:
        work.kept.append(_input(layer.top[0], shape))
        work.unknown.update(layer.top[1:])
        return
    one = LayerParameter()
    one.CopyFrom(layer)
    one.bottom[:] = [work.aliases.get(blob, blob) for blob in layer.bottom]
    if spec_for(layer).default_loss_weight:
        work.losses.append((one, _weight(layer)))
    elif layer.type in _JUDGES:
        work.helping.update(one.bottom)
    elif layer.type == _IDENTITY:
        work.aliases[layer.top[0]] = one.bottom[0]
    elif work.unknown.intersection(one.bottom):
        work.unknown.update(layer.top)
        if one.bottom[0] not in work.unknown:
            work.wanted.append(one.bottom[0])  # what a DetectionEvaluate looks at
    else:
        for top in one.top:
            work.aliases.pop(top, None)  # a layer in place behind a Dropout makes that blob from now on
        work.kept.append(one)


def _weight(loss: LayerParameter) -> float:
    return float(loss.loss_weight[0]) if loss.loss_weight else spec_for(loss).default_loss_weight


def _end_in_activations(work: _Surgery) -> None:
    """Puts the activations of the losses that count behind the layers that make their scores."""
    most = max((weight for _, weight in work.losses), default=0.0)
    heads = [loss for loss, weight in work.losses if weight == most and loss.bottom[0] not in work.unknown]
    work.helping.update(blob for loss, _ in work.losses for blob in loss.bottom)
    for loss in heads:
        scores = loss.bottom[0]
        activation = SCORES_OF.get(loss.type)
        if activation is None:
            work.wanted.append(scores)
            continue
        there = [one for one in work.kept if one.type == activation and scores in one.bottom]
        if there:
            work.wanted.append(there[0].top[0])
            continue
        name = _free_name("prob" if len(heads) == 1 else f"{scores}_prob", work)
        made = LayerParameter(name=name, type=activation, bottom=[scores], top=[name])
        if loss.HasField("softmax_param"):
            made.softmax_param.CopyFrom(loss.softmax_param)
        if loss.infogain_loss_param.HasField("axis"):
            made.softmax_param.axis = loss.infogain_loss_param.axis
        work.kept.append(made)
        work.wanted.append(name)


def _free_name(wanted: str, work: _Surgery) -> str:
    taken = {name for layer in work.kept for name in (layer.name, *layer.top)}
    while wanted in taken:
        wanted += "_"
    return wanted


def _prune(net: NetParameter, work: _Surgery) -> None:
    """Removes the layers that lead to nothing but losses and judges."""
    graph = build_graph(net)
    needed = {value for value in graph.outputs if value.blob not in work.helping}
    needed |= {graph.last(blob) for blob in work.wanted}
    kept = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.tops):
            kept.append(node.layer)
            needed.update(node.bottoms)
    ordered = [LayerParameter.FromString(layer.SerializeToString()) for layer in reversed(kept)]
    net.ClearField("layer")
    net.layer.extend(ordered)
    wanted = {value.blob for value in needed}
    surplus = [value.blob for value in build_graph(net).outputs if value.blob not in wanted]
    if surplus:  # the other tops of a layer that is needed
        net.layer.append(LayerParameter(name=_free_name("silence", work), type="Silence", bottom=surplus))


def _input(top: str, shape: Shape | None) -> LayerParameter:
    if shape is None:
        raise NetError("the shape of what comes to the net is not known; give it with --record CxHxW")
    made = LayerParameter(name=top, type="Input", top=[top])
    made.input_param.shape.append(BlobShape(dim=[1, *shape]))
    return made


def _strip(layer: LayerParameter) -> None:
    """Clears what only training reads; the names by which layers share weights stay."""
    for name in _OF_TRAINING:
        layer.ClearField(name)
    if any(param.name for param in layer.param):
        for param in layer.param:
            param.ClearField("lr_mult")
            param.ClearField("decay_mult")
    else:
        layer.ClearField("param")
    layer.detection_output_param.ClearField("save_output_param")
    if not layer.detection_output_param.ListFields():
        layer.ClearField("detection_output_param")
    if layer.type == "Input":
        for one in layer.input_param.shape:
            one.dim[0] = 1
        layer.ClearField("transform_param")
    _clear_fillers(layer)


def _clear_fillers(message: Any) -> None:
    for descriptor, value in message.ListFields():
        if descriptor.type != FieldDescriptor.TYPE_MESSAGE or isinstance(value, list):
            continue
        if descriptor.message_type is FillerParameter.DESCRIPTOR and hasattr(value, "type"):
            message.ClearField(descriptor.name)
        elif hasattr(value, "ListFields"):
            _clear_fillers(value)
