r"""What a patch is: edits of text and new files, with a reason and a check for "already there".

An edit is a pure function from text to text that looks for the place it knows; it never holds lines
of Caffe's to compare with. `needs` tells from the text alone whether the edit is still to be done,
so a patched tree, and one whose owner mended it, both read as done. The text an edit gets has `\n`
line ends whatever the file has.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from caffeflow.errors import NativeError
from caffeflow.native.tree import Tree

Group: TypeAlias = Literal["opencv", "protobuf", "cmake", "python", "ssd", "cuda", "layers"]


class PlaceNotFoundError(NativeError):
    """An edit is needed and its place is not in the file; the one who applies it adds the file's name.

    Args:
        expected: What was looked for, in the user's words.
    """

    def __init__(self, expected: str) -> None:
        super().__init__(f"expected {expected}")
        self.expected = expected


@dataclass(frozen=True, kw_only=True)
class FileEdit:
    """A change of the text of files that are there.

    Attributes:
        path: A file of the tree, or a glob; files that are not there are passed over.
        needs: Tells from a file's text whether the edit is still to be done.
        edit: The changed text; of a changed text, the same text. May raise `PlaceNotFoundError`.
    """

    path: str
    needs: Callable[[str], bool]
    edit: Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class NewFile:
    """A file that a patch adds: still to be done while the tree lacks it or has other bytes in it."""

    path: str
    source: Callable[[Tree], bytes]


def always(_tree: Tree) -> bool:
    """The `applies` of a patch for every tree."""
    return True


@dataclass(frozen=True, kw_only=True)
class Patch:
    """One named change of a Caffe tree.

    Attributes:
        id: What --only and --skip take: lower case, words joined by hyphens.
        group: The file of this folder that it stands in.
        reason: One sentence for the user: what breaks without it.
        edits: Changes of files, done in this order.
        new_files: Files added.
        applies: Whether this tree has anything to do with it, patched or not.
    """

    id: str
    group: Group
    reason: str
    edits: tuple[FileEdit, ...] = ()
    new_files: tuple[NewFile, ...] = ()
    applies: Callable[[Tree], bool] = always


def rewrite(path: str, pattern: str, replacement: str | Callable[[re.Match[str]], str]) -> FileEdit:
    """Returns the edit that replaces every match of a pattern, which must not match what it puts there.

    Args:
        path: The file or glob.
        pattern: A regular expression; `^` and `$` are ends of lines.
        replacement: As for `re.sub`.
    """
    compiled = re.compile(pattern, re.MULTILINE)
    return FileEdit(
        path=path,
        needs=lambda text: compiled.search(text) is not None,
        edit=lambda text: compiled.sub(replacement, text),
    )


def insert_after(text: str, pattern: str, added: str, *, expected: str) -> str:
    """Returns a text with something added behind the first match of a pattern.

    Raises:
        PlaceNotFoundError: The pattern is not there; says what was expected.
    """
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise PlaceNotFoundError(expected)
    return text[: found.end()] + added + text[found.end() :]
