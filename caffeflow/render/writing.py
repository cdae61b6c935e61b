"""Writing a net's files all or none."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from caffeflow.errors import TemplateError, UsageError
from caffeflow.files import write_text

_EXECUTABLE = 0o111


def check_free(out_dir: Path, names: Mapping[str, str]) -> None:
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

    A new folder appears whole: it is filled under another name and then renamed. In a folder that
    is there, each file is replaced whole, the solver last of all prototxts, since training starts from it.

    Raises:
        TemplateError: The disk refuses.
    """
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        if out_dir.exists():
            _fill(out_dir, texts)
        else:
            filled = Path(tempfile.mkdtemp(dir=out_dir.parent, prefix=f".{out_dir.name}."))
            try:
                _fill(filled, texts)
                filled.chmod(out_dir.parent.stat().st_mode)
                filled.rename(out_dir)
            finally:
                shutil.rmtree(filled, ignore_errors=True)
    except OSError as error:
        raise TemplateError(f"{out_dir}: cannot write: {error.strerror}") from error
    return [out_dir / name for name in texts]


def _fill(folder: Path, texts: Mapping[str, str]) -> None:
    (folder / "snapshots").mkdir(exist_ok=True)
    for name in sorted(texts, key=lambda each: each == "solver.prototxt"):
        path = folder / name
        write_text(path, texts[name])
        if path.suffix == ".sh":
            path.chmod(path.stat().st_mode | _EXECUTABLE)
