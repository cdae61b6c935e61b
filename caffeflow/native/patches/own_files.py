"""Files of our own that patches add to a tree; they lie in files/ beside this module, ready to be read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from caffeflow.native.patches.patch import NewFile

_FILES: Final = Path(__file__).resolve().parent / "files"


def own_file(path: str) -> NewFile:
    """Returns the addition of one of our files.

    Args:
        path: Where it goes in the tree; in files/ it has the same name.
    """
    source = _FILES / Path(path).name
    return NewFile(path=path, source=lambda _tree: source.read_bytes())
