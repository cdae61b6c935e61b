"""What CUDA 13 took out of cudaDeviceProp: it is asked of the device instead."""

from __future__ import annotations

import re
from typing import Final

from caffeflow.native.patches.own_files import own_file
from caffeflow.native.patches.patch import FileEdit, Patch, insert_after
from caffeflow.native.tree import Tree

_HEADER: Final = "caffe/util/device_attributes.hpp"
_USERS: Final = ("src/caffe/common.cpp", "src/caffe/test/test_platform.cpp")
_FUNCTIONS: Final = {
    "clockRate": "DeviceClockRate()",
    "deviceOverlap": "DeviceOverlaps()",
    "kernelExecTimeoutEnabled": "DeviceHasTimeout()",
}
_FIELD: Final = re.compile(rf"\b\w+\.({'|'.join(_FUNCTIONS)})\b")


def _reads_removed_field(text: str) -> bool:
    return _FIELD.search(text) is not None


def _ask_device(text: str) -> str:
    if not _reads_removed_field(text):
        return text
    return insert_after(
        _FIELD.sub(lambda found: _FUNCTIONS[found[1]], text),
        r'^#include "caffe/(?:common|test/test_caffe_main)\.hpp"\n',
        f'#include "{_HEADER}"\n',
        expected="the include of caffe/common.hpp or of caffe/test/test_caffe_main.hpp",
    )


def _prints_properties(tree: Tree) -> bool:
    users = (path for path in _USERS if tree.has(path))
    return tree.has(f"include/{_HEADER}") or any(_reads_removed_field(tree.read(path)) for path in users)


CUDA_DEVICE_PATCHES: Final[tuple[Patch, ...]] = (
    Patch(
        id="cuda-device-properties",
        group="cuda",
        reason="cudaDeviceProp has no clockRate, deviceOverlap and kernelExecTimeoutEnabled since CUDA 13.",
        edits=tuple(FileEdit(path=path, needs=_reads_removed_field, edit=_ask_device) for path in _USERS),
        new_files=(own_file(f"include/{_HEADER}"),),
        applies=_prints_properties,
    ),
)
