"""The patches, in the order in which they are applied: one file a group, one table for all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from caffeflow.native.patches.patch import Patch

_GROUPS: Final[tuple[tuple[Patch, ...], ...]] = ()

PATCHES: Final[Mapping[str, Patch]] = {patch.id: patch for group in _GROUPS for patch in group}
