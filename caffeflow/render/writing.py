"""Writing a net's files all or none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from caffeflow.errors import TemplateError, UsageError
from caffeflow.files import write_text

_EXECUTABLE = 0o111


def check_free(out_dir: Path, names: Iterable[str]) -> None:
    """Refuses to replace files.

    Raises:
        UsageError: Some are there already, or the folder's place is taken by a file.
    """
    if out_dir.exists() and not out_dir.is_dir():
        raise UsageError(f"{out_dir}: is a file; expected a folder to write into; give another --out")
    taken = [name for name in names if (out_dir / name).exists()]
    if taken:
        raise UsageError(
            f"{out_dir}: has {', '.join(taken)} already; give --force to replace them, or another --out"
        )


def write_files(out_dir: Path, texts: Mapping[str, str]) -> list[Path]:
    """Writes the files, scripts as executables, and the folder for snapshots; returns the paths.

    All is written into a folder beside and moved when it is complete, so that a full disk leaves
    nothing behind and nothing half replaced.

    Raises:
        TemplateError: The folder cannot be made or filled.
        DataError: The disk is full.
    """
    beside = out_dir.parent / f".{out_dir.name}.{os.getpid()}"
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        beside.mkdir()
        _fill(beside, texts)
        if out_dir.is_dir():
            (out_dir / "snapshots").mkdir(exist_ok=True)
            for name in texts:
                (beside / name).replace(out_dir / name)
        else:
            beside.rename(out_dir)
    except OSError as error:
        raise TemplateError(f"{out_dir}: cannot write: {error.strerror}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return [out_dir / name for name in texts]


def _fill(folder: Path, texts: Mapping[str, str]) -> None:
    (folder / "snapshots").mkdir()
    for name, text in texts.items():
        path = folder / name
        write_text(path, text)
        if path.suffix == ".sh":
            path.chmod(path.stat().st_mode | _EXECUTABLE)
