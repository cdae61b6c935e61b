"""The patches, in the order in which they are applied: one file a group, one table for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from caffeflow.native.patches.cmake import CMAKE
from caffeflow.native.patches.opencv import OPENCV
from caffeflow.native.patches.patch import Patch
from caffeflow.native.patches.protobuf import PROTOBUF
from caffeflow.native.patches.python import PYTHON
from caffeflow.native.patches.ssd import SSD

_GROUPS: Final[tuple[tuple[Patch, ...], ...]] = (OPENCV, PROTOBUF, CMAKE, PYTHON, SSD)

PATCHES: Final[Mapping[str, Patch]] = {patch.id: patch for group in _GROUPS for patch in group}
