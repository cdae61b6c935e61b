"""Patching a Caffe tree: what is to do, what would change, and doing it.

All patches are worked out on text in memory first, each on what those before it left; so a dry run
shows what apply writes, and a patch that fails stops everything before the first file is touched.
`native/originals.py` writes, and keeps what undo needs.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from caffeflow.errors import NativeError, UsageError, suggestion
from caffeflow.native import originals
from caffeflow.native.originals import FileChange
from caffeflow.native.patches import PATCHES
from caffeflow.native.patches.patch import FileEdit, Patch, PlaceNotFoundError
from caffeflow.native.tree import Tree, decode, encode

State: TypeAlias = Literal["to do", "done", "not needed", "cannot"]


@dataclass(frozen=True, kw_only=True)
class PatchState:
    """How a patch stands in a tree.

    Attributes:
        id: The patch.
        group: Its group.
        reason: Why it exists.
        state: `done` also where the tree's owner mended it; `not needed` where there is nothing to mend.
        why_not: Of `cannot`: the file, what was expected in it, and what to do.
        paths: The files that it changes or adds.
    """

    id: str
    group: str
    reason: str
    state: State
    why_not: str = ""
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What applying patches changes.

    Attributes:
        changes: The files, each once, sorted by path.
        patches: The patches that change something, in order of application.
    """

    changes: tuple[FileChange, ...]
    patches: tuple[str, ...]


def status(tree: Tree, patches: Mapping[str, Patch] = PATCHES) -> list[PatchState]:
    """Returns how each patch stands in a tree, in order of application."""
    desk = _Desk(tree)
    return [_work_out(desk, patch) for patch in patches.values()]


def plan(
    tree: Tree,
    *,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    patches: Mapping[str, Patch] = PATCHES,
) -> Plan:
    """Returns what the patches change in a tree.

    Args:
        tree: The tree.
        only: Patches to apply; all if none is named.
        skip: Patches to leave out.
        patches: The table they are named in.

    Raises:
        UsageError: A name that no patch has.
        NativeError: A patch is needed and its place is not in the tree.
    """
    chosen = choose(only=only, skip=skip, patches=patches)
    desk = _Desk(tree)
    states = [_work_out(desk, patch) for patch in chosen]
    stuck = [state for state in states if state.state == "cannot"]
    if stuck:
        told = "; ".join(f"patch '{state.id}': {state.why_not}" for state in stuck)
        leave_out = " ".join(f"--skip {state.id}" for state in stuck)
        raise NativeError(f"'{tree.root}' cannot be patched: {told}; leave it out with {leave_out}")
    return Plan(changes=desk.changes(), patches=tuple(state.id for state in states if state.state == "to do"))


def choose(*, only: Sequence[str], skip: Sequence[str], patches: Mapping[str, Patch]) -> list[Patch]:
    """Returns the patches that --only and --skip leave.

    Raises:
        UsageError: A name that no patch has.
    """
    for name in [*only, *skip]:
        if name not in patches:
            hint = suggestion(name, patches) or "; see --list"
            raise UsageError(f"there is no patch '{name}'{hint}")
    return [
        patch for name, patch in patches.items() if (not only or name in only) and name not in skip
    ]  # fmt: skip


def diff(changes: Iterable[FileChange]) -> str:
    """Returns changes as a unified diff, as `git diff` shows them."""
    parts: list[str] = []
    for change in changes:
        before = (change.before or b"").decode(errors="replace").splitlines(keepends=True)
        after = change.after.decode(errors="replace").splitlines(keepends=True)
        old_name = "/dev/null" if change.before is None else f"a/{change.path}"
        parts += [
            line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
            for line in difflib.unified_diff(before, after, old_name, f"b/{change.path}")
        ]
    return "".join(parts)


def apply(tree: Tree, what: Plan) -> None:
    """Writes a plan into its tree: all files or none, with the originals kept for `undo`.

    Raises:
        NativeError: A file cannot be written, or was changed since it was patched.
    """
    originals.write(tree, what.changes, patches=what.patches)


def undo(tree: Tree) -> list[str]:
    """Gives a tree back as it was before the first patch, byte for byte; returns the files restored.

    Raises:
        NativeError: It was never patched, or a file was changed since; names it.
    """
    return originals.restore(tree)


class _Desk:
    """A tree with changes on top that are not written yet."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._before: dict[str, bytes | None] = {}
        self._after: dict[str, bytes] = {}
        self._globs: dict[str, list[str]] = {}

    def files(self, pattern: str) -> list[str]:
        """Returns the paths that a glob names; added files are ours, and need no mending."""
        if pattern not in self._globs:
            self._globs[pattern] = list(self.tree.files(pattern))
        return self._globs[pattern]

    def find(self, path: str) -> bytes | None:
        """Returns a file as it is by now, or None."""
        if path in self._after:
            return self._after[path]
        if path not in self._before:
            self._before[path] = self.tree.read_bytes(path) if self.tree.has(path) else None
        return self._before[path]

    def put(self, path: str, data: bytes) -> None:
        self._after[path] = data

    def changes(self) -> tuple[FileChange, ...]:
        """Returns what is to be written, sorted by path."""
        return tuple(
            FileChange(path=path, before=self._before[path], after=after)
            for path, after in sorted(self._after.items()) if after != self._before[path]
        )  # fmt: skip


def _work_out(desk: _Desk, patch: Patch) -> PatchState:
    """Puts a patch's changes on the desk, all or none, and tells how the patch stands."""
    state: State = "done"
    why_not, found = "", {}
    if not patch.applies(desk.tree):
        state = "not needed"
    else:
        try:
            found = _changes_of(desk, patch)
        except PlaceNotFoundError as error:
            state, why_not = "cannot", str(error)
    for path, data in found.items():
        desk.put(path, data)
        state = "to do"
    return PatchState(
        id=patch.id, group=patch.group, reason=patch.reason, state=state, why_not=why_not,
        paths=tuple(found),
    )  # fmt: skip


def _changes_of(desk: _Desk, patch: Patch) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for edit in patch.edits:
        for path in desk.files(edit.path):
            before = found.get(path, desk.find(path))
            after = None if before is None else _edited(before, edit, path)
            if after is not None:
                found[path] = after
    for new in patch.new_files:
        source = new.source(desk.tree)
        if desk.find(new.path) != source:
            found[new.path] = source
    return found


def _edited(data: bytes, edit: FileEdit, path: str) -> bytes | None:
    """Returns a file's changed bytes, or None where the edit is done already."""
    text = decode(data)
    is_dos = "\r\n" in text and text.count("\r\n") == text.count("\n")
    if is_dos:
        text = text.replace("\r\n", "\n")
    if not edit.needs(text):
        return None
    try:
        after = edit.edit(text)
    except PlaceNotFoundError as error:
        raise PlaceNotFoundError(f"{error.expected} in {path}, and it is not there") from error
    if edit.needs(after):
        raise PlaceNotFoundError(f"to mend {path}, and it still needs it afterwards")
    return encode(after.replace("\n", "\r\n") if is_dos else after)
