"""Where each layer type keeps its settings in LayerParameter, read off the schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from caffeflow.proto.caffe_pb2 import LayerParameter

OWN_SETTINGS: Final[Mapping[str, str]] = {
    field.message_type.name.removesuffix("Parameter"): field.name
    for field in LayerParameter.DESCRIPTOR.fields
    if field.name.endswith("_param") and field.message_type is not None
}
"""Layer type -> the field with its settings, for types that have a message of their own name."""
