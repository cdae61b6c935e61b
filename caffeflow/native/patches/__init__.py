"""The patches, in the order in which they are applied: one file a group, one table for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from caffeflow.native.patches.boost import BOOST_PATCHES
from caffeflow.native.patches.cmake import CMAKE_PATCHES
from caffeflow.native.patches.cuda_cmake import CUDA_CMAKE_PATCHES
from caffeflow.native.patches.cuda_device import CUDA_DEVICE_PATCHES
from caffeflow.native.patches.cudnn import CUDNN_PATCHES
from caffeflow.native.patches.layers import LAYER_PATCHES
from caffeflow.native.patches.opencv import OPENCV_PATCHES
from caffeflow.native.patches.patch import Patch
from caffeflow.native.patches.protobuf import PROTOBUF_PATCHES
from caffeflow.native.patches.python import PYTHON_PATCHES
from caffeflow.native.patches.ssd import SSD_PATCHES

_IN_ORDER: Final[tuple[Patch, ...]] = (
    *OPENCV_PATCHES, *PROTOBUF_PATCHES, *CMAKE_PATCHES, *BOOST_PATCHES, *PYTHON_PATCHES, *SSD_PATCHES,
    *CUDA_CMAKE_PATCHES, *CUDA_DEVICE_PATCHES, *CUDNN_PATCHES, *LAYER_PATCHES,
)  # fmt: skip

PATCHES: Final[Mapping[str, Patch]] = {patch.id: patch for patch in _IN_ORDER}
