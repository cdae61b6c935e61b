"""`caffeflow caffe patch`: list the patches of a Caffe tree, show their changes, apply and undo them.

The command calls one of four, by its options:

    list_patches(root) -> list[PatchState]                  --list
    show_changes(root, only=(), skip=()) -> str             --dry-run: a unified diff, '' if nothing is to do
    patch_tree(root, only=(), skip=()) -> PatchReport       no option
    undo_patches(root) -> list[str]                         --undo: the files that were given back

`PatchState` has id, group, reason, state ("to do", "done", "not needed", "cannot"), why_not and paths.
All raise NativeError where the folder is no tree or the tree does not let itself be patched, and
UsageError for a name in `only` or `skip` that no patch has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from caffeflow.native.patching import PatchState, apply, diff, plan, status, undo
from caffeflow.native.tree import KIND_NAMES, open_tree


@dataclass(frozen=True, kw_only=True)
class PatchReport:
    """What patching did.

    Attributes:
        tree: Which tree it is, in words.
        patches: The patches that changed something, in order.
        files: The files that were changed or added.
    """

    tree: str
    patches: tuple[str, ...]
    files: tuple[str, ...]


def list_patches(root: Path) -> list[PatchState]:
    """Returns how each patch stands in a tree."""
    return status(open_tree(root))


def show_changes(root: Path, *, only: Sequence[str] = (), skip: Sequence[str] = ()) -> str:
    """Returns what patching would change, as a diff; writes nothing."""
    return diff(plan(open_tree(root), only=only, skip=skip).changes)


def patch_tree(root: Path, *, only: Sequence[str] = (), skip: Sequence[str] = ()) -> PatchReport:
    """Applies the patches that a tree still needs; of a patched tree, none."""
    tree = open_tree(root)
    what = plan(tree, only=only, skip=skip)
    apply(tree, what)
    return PatchReport(
        tree=KIND_NAMES[tree.kind], patches=what.patches, files=tuple(change.path for change in what.changes)
    )


def undo_patches(root: Path) -> list[str]:
    """Gives a tree back as it was before it was patched; returns the files that were given back."""
    return undo(open_tree(root))
