"""Upgrades nets and solvers of older formats, in Caffe's order (`util/upgrade_proto.cpp`).

The steps: V0 to V1 layers; data-transformation fields into `transform_param`; V1 to current layers;
net-level `input` fields into an Input layer; multipliers of BatchNorm. A step that does not apply
leaves the net as it is. What the V0 step drops, because a type does not know it, is logged, as
Caffe goes on there as well.
"""

from __future__ import annotations

from typing import Final

from caffeflow.errors import NetError
from caffeflow.proto import legacy_v0
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter, SolverParameter, V1LayerParameter

V1_TYPES: Final[dict[str, str]] = {
    "NONE": "", "ABSVAL": "AbsVal", "ACCURACY": "Accuracy", "ARGMAX": "ArgMax", "BNLL": "BNLL",
    "CONCAT": "Concat", "CONTRASTIVE_LOSS": "ContrastiveLoss", "CONVOLUTION": "Convolution",
    "DATA": "Data", "DECONVOLUTION": "Deconvolution", "DROPOUT": "Dropout", "DUMMY_DATA": "DummyData",
    "ELTWISE": "Eltwise", "EUCLIDEAN_LOSS": "EuclideanLoss", "EXP": "Exp", "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output", "HINGE_LOSS": "HingeLoss", "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData", "INFOGAIN_LOSS": "InfogainLoss", "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN", "MEMORY_DATA": "MemoryData", "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN", "POOLING": "Pooling", "POWER": "Power", "RELU": "ReLU", "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss", "SILENCE": "Silence", "SLICE": "Slice",
    "SOFTMAX": "Softmax", "SOFTMAX_LOSS": "SoftmaxWithLoss", "SPLIT": "Split", "TANH": "TanH",
    "THRESHOLD": "Threshold", "WINDOW_DATA": "WindowData",
}  # fmt: skip

_SOLVER_TYPES: Final[dict[str, str]] = {
    "SGD": "SGD", "NESTEROV": "Nesterov", "ADAGRAD": "AdaGrad", "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta", "ADAM": "Adam",
}  # fmt: skip

_TRANSFORM_FIELDS: Final = ("scale", "mean_file", "crop_size", "mirror")

_DATA_PARAMS: Final = {
    "DATA": "data_param",
    "IMAGE_DATA": "image_data_param",
    "WINDOW_DATA": "window_data_param",
}


def upgrade_net(net: NetParameter) -> None:
    """Brings a net, in place, to the current format.

    Raises:
        NetError: The net mixes formats, or holds a V0 layer that has no successor.
    """
    if any(layer.HasField("layer") for layer in net.layers):
        legacy_v0.upgrade(net)
    _move_transform_fields(net)
    if net.layers:
        _upgrade_v1(net)
    if net.input:
        _upgrade_inputs(net)
    _upgrade_batch_norm(net)


def upgrade_solver(solver: SolverParameter) -> None:
    """Turns the old enum `solver_type`, in place, into the string `type`.

    Raises:
        NetError: Both are given.
    """
    if not solver.HasField("solver_type"):
        return
    if solver.HasField("type"):
        raise NetError("the solver gives both 'type' and the old 'solver_type'; keep 'type' only")
    name = SolverParameter.SolverType.Name(solver.solver_type)
    solver.type = _SOLVER_TYPES[name]
    solver.ClearField("solver_type")


def _move_transform_fields(net: NetParameter) -> None:
    for layer in net.layers:
        name = _DATA_PARAMS.get(V1LayerParameter.LayerType.Name(layer.type))
        if name is None:
            continue
        settings = getattr(layer, name)
        for field in _TRANSFORM_FIELDS:
            if settings.HasField(field):
                setattr(layer.transform_param, field, getattr(settings, field))
                settings.ClearField(field)


def _upgrade_v1(net: NetParameter) -> None:
    if net.layer:
        raise NetError("the net mixes 'layer' and the older 'layers'; use one of them")
    net.layer.extend(_current_layer(layer) for layer in net.layers)
    net.ClearField("layers")


def _current_layer(old: V1LayerParameter) -> LayerParameter:
    new = LayerParameter(
        name=old.name,
        type=V1_TYPES[V1LayerParameter.LayerType.Name(old.type)],
        bottom=old.bottom,
        top=old.top,
        include=old.include,
        exclude=old.exclude,
        blobs=old.blobs,
        loss_weight=old.loss_weight,
    )
    specs = max(len(old.param), len(old.blob_share_mode), len(old.blobs_lr), len(old.weight_decay))
    for _ in range(specs):
        new.param.add()
    for spec, name in zip(new.param, old.param, strict=False):
        spec.name = name
    for spec, mode in zip(new.param, old.blob_share_mode, strict=False):
        spec.share_mode = mode  # type: ignore[assignment]  # two enums of the same two values
    for spec, rate in zip(new.param, old.blobs_lr, strict=False):
        spec.lr_mult = rate
    for spec, decay in zip(new.param, old.weight_decay, strict=False):
        spec.decay_mult = decay
    for field, settings in old.ListFields():
        if field.name.endswith("_param"):
            getattr(new, field.name).CopyFrom(settings)
    return new


def _upgrade_inputs(net: NetParameter) -> None:
    """Replaces the net's `input` fields by an Input layer; without shapes they are just dropped."""
    if net.input_shape or net.input_dim:
        layer = LayerParameter(name="input", type="Input", top=net.input)
        if net.input_shape:
            layer.input_param.shape.extend(net.input_shape)
        else:
            _shapes_from_dims(net, layer)
        layers = [layer, *net.layer]
        net.ClearField("layer")
        net.layer.extend(layers)
    for field in ("input", "input_shape", "input_dim"):
        net.ClearField(field)


def _shapes_from_dims(net: NetParameter, layer: LayerParameter) -> None:
    if len(net.input_dim) != 4 * len(net.input):
        raise NetError(
            f"{len(net.input_dim)} input_dim for {len(net.input)} input; expected four an input"
            " (number, channels, height, width)"
        )
    for start in range(0, len(net.input_dim), 4):
        layer.input_param.shape.add(dim=net.input_dim[start : start + 4])


def _upgrade_batch_norm(net: NetParameter) -> None:
    for layer in net.layer:
        if layer.type == "BatchNorm" and len(layer.param) == 3:
            # Caffe: files saved by the first BatchNorm layer carry multipliers for its statistics.
            for spec in layer.param:
                spec.lr_mult = 0
                spec.decay_mult = 0
