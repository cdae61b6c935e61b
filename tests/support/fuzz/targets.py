"""All targets by name; a family is imported when one of its targets is asked for, as some take long."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final

from tests.support.fuzz.target import Target

_FAMILIES: Final[Mapping[str, tuple[str, ...]]] = {
    "prototxts": ("net text", "solver text", "label map"),
    "nets": ("net messages",),
    "weights": (".caffemodel", ".npz", ".h5", ".safetensors", "solver state", "HDF5 solver state", "mean"),
    "records": ("datum", "annotated datum"),
    "recipes": ("recipe",),
    "annotations": (
        "window file", "image list", "name sizes", "VOC annotation", "COCO annotation", "KITTI label",
    ),
}  # fmt: skip

NAMES: Final = tuple(name for names in _FAMILIES.values() for name in names)
"""What can be asked for."""


def target_of(name: str) -> Target:
    """Returns a target by its name."""
    family = next(family for family, names in _FAMILIES.items() if name in names)
    targets = import_module(f"tests.support.fuzz.{family}").TARGETS
    return next(target for target in targets if target.name == name)
