"""The data layer of a test: whose records a net is tested on, and how they are transformed.

A net with a data layer of its own keeps it; `--data` replaces its source and nothing else. A deploy net
knows no transformation, so it takes the one of the train_val or test file beside it, unless options say
more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from caffeflow.data.manifest import MANIFEST_NAME, read_manifest
from caffeflow.errors import DataError, NetError, UsageError
from caffeflow.proto.caffe_pb2 import (
    DataParameter,
    HDF5DataParameter,
    ImageDataParameter,
    LayerParameter,
    NetParameter,
    WindowDataParameter,
)
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import read_net
from caffeflow.workflows.bundle_preprocess import PREPROCESS_NAME, read_preprocess

RECORD_LAYERS: Final = ("Data", "ImageData", "AnnotatedData")
"""What reads pictures, which `--data` may bring from elsewhere."""

TESTED_LAYERS: Final = (*RECORD_LAYERS, "HDF5Data", "WindowData")
"""What a net is tested on."""

_SIBLINGS: Final = ("train_val.prototxt", "test.prototxt")
_DEPLOY_BATCH: Final = 50

_Param: TypeAlias = DataParameter | ImageDataParameter | HDF5DataParameter | WindowDataParameter
_PARAMS: Final = {
    "ImageData": "image_data_param",
    "HDF5Data": "hdf5_data_param",
    "WindowData": "window_data_param",
}


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """What the user says about the data.

    Attributes:
        data: A dataset folder or an LMDB, in place of the net's own source.
        split: Which split of a dataset folder.
        batch_size: In place of the net's own.
        mean: For a deploy net: `none`, values such as `104,117,123`, or a binaryproto.
        scale: For a deploy net.
    """

    data: Path | None = None
    split: str = "val"
    batch_size: int | None = None
    mean: str | None = None
    scale: float | None = None


def own_data_layer(layer: LayerParameter, settings: DataSettings) -> None:
    """Changes a net's own data layer to what the user says.

    Raises:
        UsageError: Options that only a deploy net takes, or that do not fit the layer.
        NetError: The layer brings no labels.
        DataError: There is no such dataset.
    """
    if settings.mean is not None or settings.scale is not None:
        raise UsageError(
            f"--mean and --scale are for deploy nets; layer '{layer.name}' of this net says how its records"
            " are transformed"
        )
    if len(layer.top) < 2:
        raise NetError("has one top; a test needs the labels as the second", layer=layer.name)
    if settings.data is not None and layer.type not in RECORD_LAYERS:
        raise UsageError(
            f"--data brings pictures, and layer '{layer.name}' of type {layer.type} reads other files; write"
            " them into the net, or give the deploy net"
        )
    _replace_source(layer, settings)


def deploy_data_layer(
    net: NetParameter,
    path: Path,
    settings: DataSettings,
    note: Callable[[str], None],
    *,
    has_boxes: bool = False,
) -> LayerParameter:
    """Returns a data layer for a deploy net, whose Input gets its batch size.

    Args:
        net: The net; changed.
        path: Its file.
        settings: What the user says.
        note: Gets sentences on what was decided.
        has_boxes: Whether the net is tested on records with boxes.

    Raises:
        UsageError: No dataset is named.
        NetError: The net has not one Input of images.
        DataError: There is no such dataset.
    """
    entry = find_image_input(net)
    if entry is None:
        raise NetError("has no data layer in its TEST phase, nor one Input of images; nothing to test it on")
    kind = "AnnotatedData" if has_boxes else "Data"
    layer = LayerParameter(name=entry.name, type=kind, top=[entry.top[0], "label"])
    sibling, template = find_sibling_layer(path)
    if template is not None:
        note(f"records are transformed as layer '{template.name}' of {sibling} says")
        for field in ("transform_param", "data_param", "image_data_param", "annotated_data_param"):
            if template.HasField(field):
                getattr(layer, field).CopyFrom(getattr(template, field))
        layer.type = template.type
    if settings.data is None and not source_of(layer).name:
        raise UsageError(f"{path} has no data layer: say with --data what to test it on")
    if template is None and settings.mean is None and settings.scale is None:
        note(f"{path} says nothing of mean and scale, so none are applied; give --mean and --scale otherwise")
    transform_by_options(layer, settings, entry.input_param.shape[0].dim)
    _replace_source(layer, settings)
    entry.input_param.shape[0].dim[0] = batch_size_of(layer)
    return layer


def batch_size_of(layer: LayerParameter) -> int:
    """Returns how many records a data layer takes at once."""
    return _param(layer).batch_size


def source_of(layer: LayerParameter) -> Path:
    """Returns the LMDB or the list that a data layer reads."""
    return Path(_param(layer).source)


def class_names_of(layer: LayerParameter) -> tuple[str, ...]:
    """Returns the name of each label, if the records belong to a dataset that knows them."""
    folder = source_of(layer).parent
    return read_manifest(folder).class_names if (folder / MANIFEST_NAME).exists() else ()


def _param(layer: LayerParameter) -> _Param:
    param: _Param = getattr(layer, _PARAMS.get(layer.type, "data_param"))
    return param


def find_image_input(net: NetParameter) -> LayerParameter | None:
    """Returns the only Input, if it is one blob of images."""
    inputs = [layer for layer in net.layer if layer.type == "Input"]
    if len(inputs) != 1 or len(inputs[0].top) != 1 or len(inputs[0].input_param.shape) != 1:
        return None
    return inputs[0] if len(inputs[0].input_param.shape[0].dim) == 4 else None


def find_sibling_layer(path: Path) -> tuple[Path, LayerParameter | None]:
    """Returns the file that says how a net's records are transformed, and the data layer that does.

    It is the file with the TEST phase beside the net, or, in a bundle, preprocess.json.
    """
    if path.with_name(PREPROCESS_NAME).is_file():
        return path.with_name(PREPROCESS_NAME), _bundle_layer(path)
    for sibling in (path.parent / name for name in _SIBLINGS):
        if sibling.exists() and sibling != path:
            net = filter_net(read_net(sibling).net, net_state("TEST"))
            layers = [layer for layer in net.layer if layer.type in RECORD_LAYERS]
            return sibling, layers[0] if len(layers) == 1 else None
    return path, None


def _bundle_layer(path: Path) -> LayerParameter:
    """Returns a data layer without a source that transforms as a bundle says."""
    preprocess = read_preprocess(path.parent)
    if preprocess.mean_image is not None:
        raise UsageError(f"{path}: is in a bundle with a mean image; name the bundle itself: {path.parent}")
    layer = LayerParameter()
    layer.CopyFrom(preprocess.param)
    if any(one.type == "DetectionOutput" for one in read_net(path).net.layer):
        layer.type = "AnnotatedData"
    return layer


def transform_by_options(layer: LayerParameter, settings: DataSettings, shape: Sequence[int]) -> None:
    """Applies --mean and --scale, and brings records to the net's input: cropped, or resized with boxes."""
    param = layer.transform_param
    _, _, height, width = shape
    if layer.type == "AnnotatedData":
        if not param.HasField("resize_param"):
            param.resize_param.height, param.resize_param.width = height, width
    elif height == width and not param.crop_size:
        param.crop_size = height
    if settings.scale is not None:
        param.scale = settings.scale
    if settings.mean is None:
        return
    param.ClearField("mean_file")
    param.ClearField("mean_value")
    if settings.mean.endswith(".binaryproto"):
        param.mean_file = settings.mean
    elif settings.mean != "none":
        try:
            param.mean_value.extend(float(word) for word in settings.mean.split(","))
        except ValueError:
            raise UsageError(
                f"--mean '{settings.mean}': expected 'none', values such as 104,117,123, or a .binaryproto"
            ) from None


def _replace_source(layer: LayerParameter, settings: DataSettings) -> None:
    """Puts the records of --data, and --batch-size, into a data layer."""
    batch_size = settings.batch_size or batch_size_of(layer) or _DEPLOY_BATCH
    if settings.data is not None:
        if (settings.data / "data.mdb").exists():
            _read_lmdb(layer, settings.data)
        else:
            _read_dataset(layer, settings.data, settings.split)
    _param(layer).batch_size = batch_size
    # A test takes each record once, in order.
    layer.image_data_param.shuffle = layer.hdf5_data_param.shuffle = False
    layer.image_data_param.ClearField("rand_skip")


def _read_dataset(layer: LayerParameter, folder: Path, split_name: str) -> None:
    manifest = read_manifest(folder)
    if split_name not in manifest.splits:
        known = " and ".join(manifest.splits)
        raise DataError(f"{folder}: has no split '{split_name}', only {known}; choose with --split")
    split = manifest.splits[split_name]
    if split.root is None:
        _read_lmdb(layer, folder / split.path)
        return
    layer.type = "ImageData"
    layer.image_data_param.source = str(folder / split.path)
    layer.image_data_param.root_folder = f"{folder / split.root}/"
    layer.image_data_param.is_color = manifest.channels != 1


def _read_lmdb(layer: LayerParameter, path: Path) -> None:
    layer.type = "AnnotatedData" if layer.type == "AnnotatedData" else "Data"
    layer.data_param.source = str(path)
    layer.data_param.backend = DataParameter.LMDB
