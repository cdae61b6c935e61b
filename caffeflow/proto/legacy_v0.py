"""The first layer format: `layers { layer { … } }` with all settings in one flat message.

`padding` was a layer of its own then; its amount moves into the convolution or pooling that reads
it. The net is rebuilt from its name, layers, inputs and force_backward, as Caffe does.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from caffeflow.errors import NetError
from caffeflow.proto.caffe_pb2 import NetParameter, V0LayerParameter, V1LayerParameter

_log = logging.getLogger(__name__)

_TYPES: Final[dict[str, str]] = {
    "accuracy": "ACCURACY", "bnll": "BNLL", "concat": "CONCAT", "conv": "CONVOLUTION", "data": "DATA",
    "dropout": "DROPOUT", "euclidean_loss": "EUCLIDEAN_LOSS", "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA", "hdf5_output": "HDF5_OUTPUT", "im2col": "IM2COL", "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS", "innerproduct": "INNER_PRODUCT", "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS", "pool": "POOLING", "relu": "RELU",
    "sigmoid": "SIGMOID", "softmax": "SOFTMAX", "softmax_loss": "SOFTMAX_LOSS", "split": "SPLIT",
    "tanh": "TANH", "window_data": "WINDOW_DATA",
}  # fmt: skip

# field of the flat message -> for each type that knows it, where it goes: "message.field"
_FILTER: Final = {"conv": "convolution_param", "innerproduct": "inner_product_param"}
_WINDOW: Final = {"conv": "convolution_param", "pool": "pooling_param"}
_DATA: Final = {
    "data": "data_param", "hdf5_data": "hdf5_data_param", "images": "image_data_param",
    "window_data": "window_data_param",
}  # fmt: skip
_LRN: Final = {"lrn": "lrn_param"}
_IMAGES: Final = {"images": "image_data_param"}
_WINDOWS: Final = {"window_data": "window_data_param"}
_MOVES: Final[dict[str, tuple[Mapping[str, str], str]]] = {
    "num_output": (_FILTER, "num_output"), "biasterm": (_FILTER, "bias_term"),
    "weight_filler": (_FILTER, "weight_filler"), "bias_filler": (_FILTER, "bias_filler"),
    "pad": (_WINDOW, "pad"), "kernelsize": (_WINDOW, "kernel_size"), "stride": (_WINDOW, "stride"),
    "group": ({"conv": "convolution_param"}, "group"), "pool": ({"pool": "pooling_param"}, "pool"),
    "dropout_ratio": ({"dropout": "dropout_param"}, "dropout_ratio"),
    "local_size": (_LRN, "local_size"), "alpha": (_LRN, "alpha"), "beta": (_LRN, "beta"), "k": (_LRN, "k"),
    "source": ({**_DATA, "infogain_loss": "infogain_loss_param"}, "source"),
    "batchsize": (_DATA, "batch_size"),
    "rand_skip": ({"data": "data_param", **_IMAGES}, "rand_skip"),
    "shuffle_images": (_IMAGES, "shuffle"), "new_height": (_IMAGES, "new_height"),
    "new_width": (_IMAGES, "new_width"), "concat_dim": ({"concat": "concat_param"}, "concat_dim"),
    "det_fg_threshold": (_WINDOWS, "fg_threshold"), "det_bg_threshold": (_WINDOWS, "bg_threshold"),
    "det_fg_fraction": (_WINDOWS, "fg_fraction"), "det_context_pad": (_WINDOWS, "context_pad"),
    "det_crop_mode": (_WINDOWS, "crop_mode"),
}  # fmt: skip
_TRANSFORMS: Final = {"scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror"}


def upgrade(net: NetParameter) -> None:
    """Rewrites a net of V0 layers, in place, as one of V1 layers.

    Raises:
        NetError: A layer type is unknown, or a padding layer is not read by one convolution or pooling.
    """
    old = NetParameter()
    old.CopyFrom(net)
    net.Clear()
    net.name = old.name
    net.input.extend(old.input)
    net.input_dim.extend(old.input_dim)
    if old.HasField("force_backward"):
        net.force_backward = old.force_backward
    for layer in _without_padding(old):
        net.layers.append(_v1_layer(layer))


def _without_padding(net: NetParameter) -> list[V1LayerParameter]:
    """Returns the layers with each padding layer folded into the layer that reads it."""
    producer: dict[str, V1LayerParameter] = {}
    kept: list[V1LayerParameter] = []
    for layer in net.layers:
        for index, bottom in enumerate(layer.bottom):
            source = producer.get(bottom)
            if source is not None and source.layer.type == "padding":
                _check_padding(layer, source)
                layer.layer.pad = source.layer.pad
                layer.bottom[index] = source.bottom[0]
        for top in layer.top:
            producer[top] = layer
        if layer.layer.type != "padding":
            kept.append(layer)
    return kept


def _check_padding(layer: V1LayerParameter, source: V1LayerParameter) -> None:
    if layer.layer.type not in ("conv", "pool") or len(layer.bottom) != 1 or len(source.bottom) != 1:
        raise NetError(
            f"reads the padding layer '{source.layer.name}'; only a convolution or pooling with one"
            " bottom can take its padding over",
            layer=layer.layer.name,
        )


def _v1_layer(wrapped: V1LayerParameter) -> V1LayerParameter:
    old = wrapped.layer
    if old.type not in _TYPES:
        raise NetError(f"unknown V0 layer type '{old.type}'", layer=old.name)
    new = V1LayerParameter(
        bottom=wrapped.bottom,
        top=wrapped.top,
        name=old.name,
        type=_TYPES[old.type],
        blobs=old.blobs,
        blobs_lr=old.blobs_lr,
        weight_decay=old.weight_decay,
    )
    for field, value in old.ListFields():
        _move(new, old, field.name, value)
    return new


def _move(new: V1LayerParameter, old: V0LayerParameter, field: str, value: object) -> None:
    if field in ("name", "type", "blobs", "blobs_lr", "weight_decay"):
        return
    if field in _TRANSFORMS:
        setattr(new.transform_param, _TRANSFORMS[field], value)
        return
    if field == "hdf5_output_param" and old.type == "hdf5_output":
        new.hdf5_output_param.CopyFrom(old.hdf5_output_param)
        return
    owners, name = _MOVES.get(field, ({}, ""))
    if old.type not in owners:
        _log.warning(
            "layer '%s': V0 field '%s' means nothing for type '%s'; dropped", old.name, field, old.type
        )
        return
    settings = getattr(new, owners[old.type])
    current = getattr(settings, name)
    if hasattr(current, "CopyFrom"):
        current.CopyFrom(value)
    elif hasattr(current, "append"):
        current.append(value)
    else:
        setattr(settings, name, value)
