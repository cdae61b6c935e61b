"""The page of patches in the documentation, made from their table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from caffeflow.native.patches import PATCHES
from caffeflow.native.patches.patch import Group, Patch

_TITLES: Final[Mapping[Group, str]] = {
    "opencv": "OpenCV 4",
    "protobuf": "protobuf",
    "cmake": "CMake",
    "python": "Python 3 and pycaffe",
    "ssd": "The SSD branch at run time",
    "cuda": "CUDA 13 and cuDNN 9",
    "layers": "Layers of our own",
}
_HEAD: Final = """\
# Patches of a Caffe tree

What `caffeflow caffe patch TREE` does, in this order, as far as the tree needs it; how the commands go
together is told in [the native side](native.md). `--only ID` and `--skip ID` choose, `--dry-run` shows the
lines, `--undo` gives every file back as it was.
"""


def patches_page() -> str:
    """Returns the page: a table a group."""
    parts = [_HEAD]
    for group, title in _TITLES.items():
        rows = [_row(patch) for patch in PATCHES.values() if patch.group == group]
        parts += [f"## {title}\n", "| patch | what is wrong without it | files |", "|---|---|---|", *rows, ""]
    return "\n".join(parts)


def _row(patch: Patch) -> str:
    return f"| `{patch.id}` | {patch.reason} | {', '.join(_files(patch))} |"


def _files(patch: Patch) -> Iterator[str]:
    yield from (f"`{path}`" for path in dict.fromkeys(edit.path for edit in patch.edits))
    if patch.new_files:
        yield "new files"
