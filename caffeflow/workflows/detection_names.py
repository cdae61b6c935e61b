"""What a detection net's files say beside its layers: what its labels are called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from caffeflow.data.manifest import MANIFEST_NAME, read_manifest
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.labelmap import read_label_map


def class_names_in(net: NetParameter) -> Mapping[int, str]:
    """Returns what the labels of a net are called: by its label map, else by its dataset; maybe empty.

    Raises:
        DataError: There is a label map that cannot be read.
    """
    for path in label_map_files(net):
        if path.exists():
            return read_label_map(path).display_names
    for layer in net.layer:
        folder = Path(layer.data_param.source).parent
        if layer.type == "AnnotatedData" and (folder / MANIFEST_NAME).exists():
            names = read_manifest(folder).class_names
            return {label: name for label, name in enumerate(names) if name}
    return {}


def label_map_files(net: NetParameter) -> Iterator[Path]:
    """Yields the label maps that a net names."""
    for layer in net.layer:
        if path := label_map_file(layer):
            yield Path(path)


def label_map_file(layer: LayerParameter) -> str:
    """Returns the label map that a layer names, or an empty text."""
    return (
        layer.annotated_data_param.label_map_file
        or layer.detection_output_param.save_output_param.label_map_file
    )
