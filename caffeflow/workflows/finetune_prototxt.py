"""What a prototxt of the user's says of its data: in the words of the catalogue's variables.

The data layer of the TRAIN phase counts, and of TEST's only the batch size. What has no variable is told.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from caffeflow.errors import NetError
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.net import Phase, filter_net, net_state
from caffeflow.proto.stages import Entry, input_size_of

_RECORDS: Final = ("Data", "ImageData")
_TRANSFORMS: Final = frozenset(
    {"scale", "mirror", "crop_size", "mean_file", "mean_value", "force_color", "force_gray"}
)
_COLOUR: Final = 3


def data_layer(entry: Entry, phase: Phase) -> LayerParameter:
    """Returns the data layer of a phase, or the Input.

    Raises:
        NetError: There are several.
    """
    held = NetParameter(layer=entry.layers)
    found = filter_net(held, net_state(phase)).layer
    if len(found) > 1:
        names = ", ".join(f"'{layer.name}'" for layer in found)
        raise NetError(f"has {len(found)} data layers in phase {phase}: {names}; expected one")
    return found[0] if found else entry.layers[0]


def facts_of(train: LayerParameter, test: LayerParameter, entry: Entry) -> dict[str, Any]:
    """Returns the defaults that a user's data layer gives the variables."""
    transform, images = train.transform_param, train.image_data_param
    facts: dict[str, Any] = {"net.top5": False, "data.mean": "none", "data.mirror": transform.mirror}
    facts["data.scale"] = (transform.scale,)
    facts["data.shuffle"] = images.shuffle if train.type == "ImageData" else True
    for name, layer in (("data.batch_size", train), ("data.test_batch_size", test)):
        batch = (
            layer.image_data_param.batch_size if layer.type == "ImageData" else layer.data_param.batch_size
        )
        if layer.type in _RECORDS and batch:
            facts[name] = batch
    if transform.mean_file:
        facts["data.mean"] = "file"
    elif transform.mean_value or entry.is_deploy:
        facts["data.mean"] = "values"
    if transform.mean_value:
        facts["data.mean_values"] = tuple(transform.mean_value)
    if images.new_height and images.new_width:
        facts["data.resize"] = (images.new_height, images.new_width)
    facts |= _input_facts(train, entry)
    if entry.is_deploy:
        facts["data.mirror"] = True
    return facts


def _input_facts(train: LayerParameter, entry: Entry) -> dict[str, Any]:
    transform, images = train.transform_param, train.image_data_param
    facts: dict[str, Any] = {}
    shape = input_size_of(entry)
    if shape is not None:
        facts["net.channels"] = shape[0]
        facts["net.input_size"] = shape[1:]
    elif transform.crop_size:
        facts["net.input_size"] = (transform.crop_size, transform.crop_size)
    elif images.new_height and images.new_width:
        facts["net.input_size"] = (images.new_height, images.new_width)
    if transform.force_gray or (train.type == "ImageData" and not images.is_color):
        facts["net.channels"] = 1
    elif transform.force_color or train.type == "ImageData" or len(transform.mean_value) == _COLOUR:
        facts["net.channels"] = _COLOUR
    return facts


def notes_of(path: Path, train: LayerParameter, entry: Entry) -> Iterator[str]:
    """Yields what the user should know of how the data layer is read."""
    if entry.is_deploy:
        yield (
            f"{path}: is a deploy file, which says nothing of mean, scale, mirror and multipliers: less the"
            " dataset's mean, scale 1, mirrored, and multipliers 1 where it has none; a train_val file, or"
            " --mean and --scale, say more"
        )
    elif train.type not in _RECORDS:
        yield f"{path}: its {train.type} layer gives way to one that reads the dataset; nothing is kept of it"
    lost = [field.name for field, _ in train.transform_param.ListFields() if field.name not in _TRANSFORMS]
    if lost:
        yield f"{path}: {', '.join(lost)} of its transform_param is not taken over"


def with_own_paths(body: NetParameter, path: Path) -> NetParameter:
    """Writes the files that layers of the body name so that they are found from anywhere."""
    for layer in body.layer:
        for holder in (layer.infogain_loss_param, layer.hdf5_data_param):
            if holder.source:
                holder.source = found_path(holder.source, path)
    return body


def found_path(name: str, path: Path) -> str:
    """Returns a file's path; as in Caffe it counts from the working folder, else from the prototxt's."""
    if not name:
        return ""
    beside = path.parent / name
    return os.path.normpath(Path.cwd() / (beside if beside.exists() and not Path(name).exists() else name))
