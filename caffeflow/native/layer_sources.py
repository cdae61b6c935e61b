"""The layers of `cuda_layers/`: what each folder holds, and what a tree gets of it.

A folder's `layer.toml` says what it is; what lies under its `include/` and `src/` goes to the same
paths of the tree. Our files say so at their head (`MARK`): a file of a tree at the same path without
it is the tree's own, and a tree that has a layer of the kind keeps that.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Final

from caffeflow import resources
from caffeflow.errors import NativeError, suggestion
from caffeflow.native.tree import Tree

MARK: Final = b"caffeflow"
_HEAD_BYTES: Final = 400
_IN_TREE: Final = ("include", "src")
_OWN_MESSAGE: Final = re.compile(r"^message LayerParameter\b", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class LayerMessage:
    """The message that a layer's settings come in, and its place in LayerParameter.

    Attributes:
        message: The message's name.
        field: Its field in LayerParameter.
        number: The number wanted for the field.
        text: The message as schema text, comments included.
    """

    message: str
    field: str
    number: int
    text: str


@dataclass(frozen=True, kw_only=True)
class LayerSource:
    """A folder of `cuda_layers/`.

    Attributes:
        name: The folder's name.
        types: Layer types as prototxts write them; none for what only the factory makes.
        class_name: The C++ class, or '' where the folder holds none.
        summary: What it computes, in one sentence.
        trees: The kinds of trees that it is known to build in.
        licence: Its licence.
        origin: Who wrote it.
        parameter: The message of its own, if it has one.
        files: Where each file goes in a tree, and where it is here.
    """

    name: str
    types: tuple[str, ...]
    class_name: str
    summary: str
    trees: tuple[str, ...]
    licence: str
    origin: str
    parameter: LayerMessage | None
    files: Mapping[str, Path]


_REQUIRED: Final = ("types", "summary", "trees", "licence", "origin")
_KEYS: Final = (*_REQUIRED, "class", "parameter")


@cache
def layer_names() -> tuple[str, ...]:
    """Returns the names of the folders, in order."""
    return tuple(sorted(path.parent.name for path in resources.cuda_layers_dir().glob("*/layer.toml")))


@cache
def layer_source(name: str) -> LayerSource:
    """Returns the layer in a folder of `cuda_layers/`.

    Raises:
        NativeError: There is no such layer, or its folder is not as it must be.
    """
    if name not in layer_names():
        raise NativeError(f"cuda_layers has no layer '{name}'{suggestion(name, layer_names())}")
    return read_layer_source(resources.cuda_layers_dir() / name)


def read_layer_source(folder: Path) -> LayerSource:
    """Returns the layer in a folder.

    Raises:
        NativeError: A key of its `layer.toml` is missing, unknown or wrong; or it holds no files.
    """
    path = folder / "layer.toml"
    try:
        declared = tomllib.loads(path.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise NativeError(f"'{path}' cannot be read: {error}") from error
    _check_keys(path, declared, required=_REQUIRED, known=_KEYS)
    files = {
        file.relative_to(folder).as_posix(): file
        for top in _IN_TREE for file in sorted((folder / top).rglob("*")) if file.is_file()
    }  # fmt: skip
    if not files:
        raise NativeError(f"'{folder}' holds no files; expected some under {' or '.join(_IN_TREE)}")
    return LayerSource(
        name=folder.name,
        types=tuple(declared["types"]),
        class_name=declared.get("class", ""),
        summary=declared["summary"],
        trees=tuple(declared["trees"]),
        licence=declared["licence"],
        origin=declared["origin"],
        parameter=_read_message(folder, declared["parameter"]) if "parameter" in declared else None,
        files=files,
    )


def has_its_own(tree: Tree, source: LayerSource) -> bool:
    """Tells whether the tree has a layer of this kind that is not ours, which is then left alone."""
    there = [path for path in source.files if tree.has(path)]
    if there:
        return any(MARK not in tree.read_bytes(path)[:_HEAD_BYTES] for path in there)
    if tree.layer_types.intersection(source.types):
        return True
    return bool(source.class_name) and _declares(tree, source.class_name)


def _declares(tree: Tree, class_name: str) -> bool:
    declaration = re.compile(rf"^\s*class\s+{class_name}\b", re.MULTILINE)
    return any(declaration.search(tree.read(path)) for path in tree.files("include/caffe/**/*.hpp"))


def _read_message(folder: Path, declared: Mapping[str, Any]) -> LayerMessage:
    own = tuple(field.name for field in fields(LayerMessage) if field.name != "text")
    _check_keys(folder / "layer.toml", declared, required=own, known=own)
    path = folder / "params.proto"
    try:
        schema = path.read_text()
    except OSError as error:
        raise NativeError(f"'{path}' cannot be read: {error.strerror}; [parameter] needs it") from error
    line = f"optional {declared['message']} {declared['field']} = {declared['number']};"
    before = _OWN_MESSAGE.split(schema)
    if len(before) != 2 or line not in before[1] or f"message {declared['message']} " not in before[0]:
        raise NativeError(
            f"'{path}': expected message {declared['message']}, then message LayerParameter with '{line}'"
            " as layer.toml declares it"
        )
    return LayerMessage(text=before[0].strip() + "\n", **declared)


def _check_keys(
    path: Path, declared: Mapping[str, Any], *, required: Iterable[str], known: Iterable[str]
) -> None:
    missing = [key for key in required if key not in declared]
    if missing:
        raise NativeError(f"'{path}': has no {', '.join(missing)}")
    for key in declared:
        if key not in known:
            raise NativeError(f"'{path}': has an unknown key '{key}'{suggestion(key, known)}")
