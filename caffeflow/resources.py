"""Finds the files that caffeflow ships: templates, CUDA layers and descriptor sets.

`templates/` and `cuda_layers/` stand beside the package in a checkout, and inside it, under
`_share/`, in a wheel. This module alone knows both places. It looks beside its own file first and
never asks site-packages or package metadata: an editable install leaves a stale copy there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parent


def templates_dir() -> Path:
    """Returns the folder with `blocks/`, `nets/`, `solvers/` and `scripts/`."""
    return _shared("templates")


def cuda_layers_dir() -> Path:
    """Returns the folder that holds one sub-folder a CUDA layer."""
    return _shared("cuda_layers")


def proto_file(name: str) -> Path:
    """Returns the path of a file of the schema, such as `caffe.desc`."""
    return _PACKAGE / "proto" / name


def zoo_table() -> Path:
    """Returns the path of the table of published models."""
    return _PACKAGE / "weights" / "zoo.toml"


def _shared(name: str) -> Path:
    in_wheel = _PACKAGE / "_share" / name
    return in_wheel if in_wheel.is_dir() else _PACKAGE.parent / name
