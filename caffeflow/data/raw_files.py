"""Finding the files that a data set is published as, and saying what to get where they are missing.

A command looks in the folder it was given, in the working folder, in `data/raw/`, and in `$CAFFEFLOW_DATA`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from caffeflow.errors import DataError

Tell: TypeAlias = Callable[[str, int, int | None], None]
"""Hears how far long reading is: what is being done, bytes done, and bytes in all if that is known."""

RAW_DIR: Final = Path("data/raw")
_VARIABLE: Final = "CAFFEFLOW_DATA"


@dataclass(frozen=True, kw_only=True)
class RawFile:
    """A published file: what it is called, how large it is, and how to know that it is whole.

    The md5 is None where nobody publishes one.
    """

    name: str
    size: int
    md5: str | None
    what: str


def tell_nobody(doing: str, done: int, total: int | None) -> None:
    """Is a `Tell` that does nothing."""
    del doing, done, total


def places(first: Path | None = None) -> tuple[Path, ...]:
    """Returns the folders to look in, in order.

    Args:
        first: The folder that the user named, if any.
    """
    variable = os.environ.get(_VARIABLE)
    named = [first] if first else []
    return tuple(dict.fromkeys([*named, Path(), RAW_DIR, *([Path(variable)] if variable else [])]))


def find_first(names: Iterable[str], folders: Sequence[Path]) -> Path | None:
    """Returns the first file or folder of these names that exists; all folders are tried for a name."""
    for name in names:
        for folder in folders:
            if (folder / name).exists():
                return folder / name
    return None


def missing(title: str, files: Iterable[RawFile], *, folders: Sequence[Path], where_to_get: str) -> DataError:
    """Returns the error for files that were not found: what to get, from where, and where to put it."""
    listed = [
        f"  {file.name}  {file.size:,} bytes{f'  md5 {file.md5}' if file.md5 else ''}  ({file.what})"
        for file in files
    ]
    looked = ", ".join(f"{folder}/" if folder != Path() else "./" for folder in folders)
    hint = "" if os.environ.get(_VARIABLE) else f" (${_VARIABLE} is not set)"
    lines = [
        f"{title} is not here. Missing:",
        *listed,
        where_to_get,
        f"Looked in {looked}{hint}.",
        f"Put the files, unpacked or not, into {RAW_DIR}/, or name their folder.",
    ]
    return DataError("\n".join(lines))
