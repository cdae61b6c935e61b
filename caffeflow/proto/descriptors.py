"""Builds message classes from a committed descriptor set.

Code that protoc generates is bound to the protobuf release that made it; a descriptor set is plain
data that every release reads. `google.protobuf.internal.builder` registers the classes under their
module's name, so that messages pickle (worker processes exchange them).
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.internal import builder

from caffeflow import resources


def build_messages(desc_name: str, module: str, namespace: dict[str, Any]) -> None:
    """Puts the classes and enums of `caffeflow/proto/<desc_name>` into `namespace`.

    Args:
        desc_name: File name of the descriptor set, which holds exactly one file.
        module: Name of the module that the classes belong to.
        namespace: That module's `globals()`.
    """
    files = descriptor_pb2.FileDescriptorSet.FromString(resources.proto_file(desc_name).read_bytes())
    (file,) = files.file
    descriptor = descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
    builder.BuildMessageAndEnumDescriptors(descriptor, namespace)
    builder.BuildTopDescriptorsAndMessages(descriptor, module, namespace)
