"""The folder of a bundle: made beside its place, and there only when it is whole."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from caffeflow.errors import DataError, UsageError
from caffeflow.workflows.bundle import is_bundle


def check_free(out: Path, *, force: bool) -> None:
    """Looks at what is at the place of a bundle.

    Raises:
        UsageError: Something that is no bundle, or, without `force`, a bundle.
    """
    if not out.exists() and not out.is_symlink():
        return
    if out.is_dir() and not any(out.iterdir()):
        return
    if not is_bundle(out):
        raise UsageError(f"{out}: is there already and is no bundle; choose another --out")
    if not force:
        raise UsageError(f"{out}: is there already; replace it with --force, or choose another --out")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Gives a folder to fill, which takes its place at the end; on an error all is as it was.

    Raises:
        DataError: It cannot be made or moved.
    """
    made = out.parent / f".{out.name}.{secrets.token_hex(4)}"
    old = made.with_suffix(".old")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        made.mkdir()
    except OSError as error:
        raise DataError(f"{out}: cannot make this folder: {error.strerror}") from error
    try:
        yield made
        _take_place(made, out, old)
    finally:
        shutil.rmtree(made, ignore_errors=True)
        if old.exists() and not out.exists():
            old.rename(out)
        shutil.rmtree(old, ignore_errors=True)


def _take_place(made: Path, out: Path, old: Path) -> None:
    try:
        if out.exists():
            out.rename(old)
        made.rename(out)
    except OSError as error:
        raise DataError(f"{out}: cannot write: {error.strerror}") from error
