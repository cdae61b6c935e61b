"""What a net that finds boxes, and the solvers beside it, say of how it is scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from caffeflow.errors import NetError
from caffeflow.evaluate.detection import ApVersion, check_ap_version
from caffeflow.evaluate.detection_match import MatchRule
from caffeflow.layers.detection_evaluate import DetectionEvaluateParams
from caffeflow.layers.detection_output import ImageResize, read_image_resize
from caffeflow.proto.caffe_pb2 import (
    DetectionEvaluateParameter,
    LayerParameter,
    NetParameter,
    SolverParameter,
)
from caffeflow.proto.net import NetRole
from caffeflow.proto.text import read_solver

_CUSTOMARY: Final = 0.01


def without_scores(role: NetRole, note: Callable[[str], None]) -> NetRole:
    """Returns a net that finds boxes without what compares them, and without files of its own."""
    net = NetParameter()
    net.CopyFrom(role.net)
    net.ClearField("layer")
    net.layer.extend(layer for layer in role.net.layer if layer.type != "DetectionEvaluate")
    for layer in net.layer:
        if layer.detection_output_param.HasField("save_output_param"):
            layer.detection_output_param.ClearField("save_output_param")
            note(f"save_output_param of layer '{layer.name}' is left out; --results DIR writes result files")
    _note_threshold(net, note)
    return replace(role, net=net)


def _note_threshold(net: NetParameter, note: Callable[[str], None]) -> None:
    """Says where a net keeps back detections that a mean average precision counts."""
    for layer in net.layer:
        threshold = layer.detection_output_param.confidence_threshold
        if threshold > _CUSTOMARY + 1e-6:  # the field is a float
            note(
                f"layer '{layer.name}' keeps back scores up to confidence_threshold {threshold:g}, which"
                f" makes mAP smaller; it is customarily measured with {_CUSTOMARY:g}, as test.prototxt has it"
            )


def with_data(role: NetRole, data: LayerParameter) -> NetRole:
    """Returns a net with its data layer in place of an Input, for checks."""
    net = NetParameter()
    net.CopyFrom(role.net)
    net.ClearField("layer")
    net.layer.add().CopyFrom(data)
    net.layer.extend(layer for layer in role.net.layer if layer.name != data.name)
    return replace(role, net=net)


def rule_of(net: NetParameter) -> MatchRule:
    """Returns what counts as found: by the net's DetectionEvaluate, else as SSD's own nets have it.

    Raises:
        NetError: The net has no DetectionOutput with a num_classes.
    """
    for layer in net.layer:
        if layer.type == "DetectionEvaluate":
            params = DetectionEvaluateParams.read(layer)
            return MatchRule(
                num_classes=params.num_classes,
                background=params.background,
                overlap=params.threshold,
                counts_difficult=params.with_difficult,
                in_pixels=bool(params.name_size_file),
            )
    for layer in net.layer:
        if layer.type == "DetectionOutput" and layer.detection_output_param.HasField("num_classes"):
            return MatchRule(num_classes=layer.detection_output_param.num_classes, counts_difficult=False)
    raise NetError("has no DetectionOutput layer that says num_classes; there is nothing to score")


def find_solver_beside(path: Path) -> SolverParameter | None:
    """Returns the first solver beside a net that tests detections."""
    solvers = [read_solver(solver) for solver in sorted(path.parent.glob("solver*.prototxt"))]
    return next((solver for solver in solvers if solver.eval_type == "detection"), None)


def ap_version_beside(path: Path) -> ApVersion:
    """Returns the ap_version of the solver beside a net, else Caffe's default."""
    return check_ap_version((find_solver_beside(path) or SolverParameter()).ap_version)


def resize_of(net: NetParameter, data: LayerParameter) -> ImageResize | None:
    """Returns how the images came to the net, as far as boxes tell."""
    for layer in net.layer:
        if layer.detection_evaluate_param.HasField("resize_param"):
            return read_image_resize(layer.detection_evaluate_param)
    if not data.transform_param.HasField("resize_param"):
        return None
    return read_image_resize(DetectionEvaluateParameter(resize_param=data.transform_param.resize_param))
