"""The tree that a caffe program was built in, and what it has: a program says nothing of its patches."""

from __future__ import annotations

from pathlib import Path

from caffeflow.errors import NativeError
from caffeflow.native.patches import PATCHES
from caffeflow.native.patching import status
from caffeflow.native.tree import Tree, open_tree


def find_tree_of(program: Path) -> Tree | None:
    """Returns the tree whose build folder a program lies in, or None: it was installed, or moved."""
    for folder in program.resolve().parents:
        try:
            return open_tree(folder)
        except NativeError:
            continue
    return None


def has_patch(program: Path, name: str) -> bool:
    """Tells whether the tree of a program has a patch, by us or its owner; False where no tree is found.

    A tree that was patched and not built again is taken for what it says.
    """
    tree = find_tree_of(program)
    if tree is None:
        return False
    (state,) = status(tree, {name: PATCHES[name]})
    return state.state == "done"
