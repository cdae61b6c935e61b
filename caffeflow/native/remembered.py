"""The caffe that was built last, remembered for `--engine caffe`.

One small JSON file in the user's configuration folder (XDG_CONFIG_HOME, else ~/.config); whoever
deletes it loses nothing but the convenience.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from caffeflow.errors import DataError
from caffeflow.files import write_text

_LOG = logging.getLogger(__name__)


def remember_caffe(program: Path) -> None:
    """Remembers a built program; one that cannot be remembered is only a warning."""
    path = _file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps({"caffe": str(program.absolute())}, indent=2) + "\n")
    except (OSError, DataError) as error:
        _LOG.warning("the built caffe is not remembered: %s; name it with --caffe %s", error, program)


def find_remembered_caffe() -> Path | None:
    """Returns the remembered program, or None: nothing was built, or it is gone, which is said."""
    path = _file()
    if not path.is_file():
        return None
    try:
        program = Path(json.loads(path.read_text(encoding="utf-8"))["caffe"])
    except (OSError, ValueError, KeyError, TypeError):
        _LOG.warning("%s: cannot be read as what `caffeflow caffe build` writes; it is passed over", path)
        return None
    if program.is_file() and os.access(program, os.X_OK):
        return program
    _LOG.warning("the caffe built last, '%s', is gone; it is passed over", program)
    return None


def _file() -> Path:
    # The XDG rules: a relative path in the variable counts as none.
    config = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (config if config.is_absolute() else Path.home() / ".config") / "caffeflow" / "caffe.json"
