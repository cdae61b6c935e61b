"""The originals of a patched tree: nothing of the user's is lost, whatever happens in between."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from caffeflow.errors import NativeError
from caffeflow.native import originals
from caffeflow.native.originals import FileChange, is_patched, restore, write
from caffeflow.native.tree import Tree, open_tree
from tests.support.trees import BARE, contents, write_files

BIRDS = FileChange(path="src/birds.cpp", before=b"gull\n", after=b"tern\n")
NEST = FileChange(path="src/a/nest.cpp", before=None, after=b"egg\n")
MANIFEST = ".caffeflow/manifest.json"


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return open_tree(write_files(tmp_path / "tree", dict(BARE) | {BIRDS.path: BIRDS.before or b""}))


def test_undo_refuses_a_file_that_was_changed_since_and_names_it(tree: Tree) -> None:
    write(tree, [BIRDS, NEST], patches=["birds"])
    (tree.root / BIRDS.path).write_text("tern and owl\n")
    before = contents(tree.root)
    with pytest.raises(
        NativeError, match=r"changed since it was patched: src/birds\.cpp; nothing was undone"
    ):
        restore(tree)
    assert contents(tree.root) == before


def test_patching_again_refuses_to_build_on_a_change_of_the_users(tree: Tree) -> None:
    write(tree, [BIRDS], patches=["birds"])
    (tree.root / BIRDS.path).write_text("tern and owl\n")
    more = FileChange(path=BIRDS.path, before=b"tern and owl\n", after=b"tern and owls\n")
    with pytest.raises(NativeError, match=r"birds\.cpp' was changed since it was patched"):
        write(tree, [more], patches=["owls"])
    assert tree.read(BIRDS.path) == "tern and owl\n"


def test_a_second_patching_keeps_the_first_original(tree: Tree) -> None:
    pristine = contents(tree.root)
    write(tree, [BIRDS], patches=["birds"])
    write(tree, [FileChange(path=BIRDS.path, before=b"tern\n", after=b"rail\n"), NEST], patches=["rails"])
    assert originals.applied_patches(tree) == ("birds", "rails")
    restore(tree)
    assert contents(tree.root) == pristine


def test_a_write_that_fails_leaves_the_tree_as_it_was(tree: Tree) -> None:
    pristine = contents(tree.root)
    blocked = FileChange(path="tools/caffe.cpp/nest.cpp", before=None, after=b"egg\n")
    with pytest.raises(NativeError, match=r"tools/caffe\.cpp"):
        write(tree, [BIRDS, NEST, blocked], patches=["birds"])
    assert contents(tree.root) == pristine

    write(tree, [BIRDS], patches=["birds"])
    patched = contents(tree.root)
    with pytest.raises(NativeError, match=r"tools/caffe\.cpp"):
        write(tree, [NEST, blocked], patches=["nest"])
    kept = {path: data for path, data in contents(tree.root).items() if path != MANIFEST}
    assert kept == {path: data for path, data in patched.items() if path != MANIFEST}
    assert json.loads(tree.read(MANIFEST)) == json.loads(patched[MANIFEST] or b"")


def test_a_patching_that_was_killed_half_way_can_be_undone_or_done_again(tree: Tree) -> None:
    pristine = contents(tree.root)
    write(tree, [BIRDS, NEST], patches=["birds"])
    (tree.root / BIRDS.path).write_bytes(BIRDS.before or b"")  # as if the second file was never reached
    write(tree, [BIRDS], patches=["birds"])
    assert tree.read(BIRDS.path) == "tern\n"
    (tree.root / BIRDS.path).write_bytes(BIRDS.before or b"")
    restore(tree)
    assert contents(tree.root) == pristine


def test_a_file_that_changed_under_the_plan_is_left_alone(tree: Tree) -> None:
    (tree.root / BIRDS.path).write_text("owl\n")
    with pytest.raises(NativeError, match="changed while patches were worked out"):
        write(tree, [BIRDS], patches=["birds"])
    assert not is_patched(tree)


def test_a_file_of_the_users_in_our_folder_survives_undo(tree: Tree) -> None:
    write(tree, [BIRDS], patches=["birds"])
    (tree.root / ".caffeflow/notes.txt").write_text("mine\n")
    restore(tree)
    assert [path.name for path in (tree.root / ".caffeflow").iterdir()] == ["notes.txt"]


def test_undo_without_patches_says_so(tree: Tree) -> None:
    with pytest.raises(NativeError, match="no patches to undo"):
        restore(tree)


@pytest.mark.parametrize("path", ["../outside.txt", "src/../../outside.txt"])
def test_a_manifest_that_leads_out_of_the_tree_is_refused(tree: Tree, path: str) -> None:
    outside = tree.root.parent / "outside.txt"
    outside.write_text("mine\n")
    write(tree, [BIRDS], patches=["birds"])
    manifest = json.loads(tree.read(MANIFEST))
    digest = hashlib.sha256(b"mine\n").hexdigest()
    manifest["files"][path] = {"before": None, "ours": [digest]}
    (tree.root / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(NativeError, match="leads out of"):
        restore(tree)
    assert outside.read_text() == "mine\n"


def test_a_link_that_leads_out_of_the_tree_is_not_written_through(tree: Tree, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tree.root / "linked").symlink_to(elsewhere)
    with pytest.raises(NativeError, match="leads out of"):
        write(tree, [FileChange(path="linked/nest.cpp", before=None, after=b"egg\n")], patches=["nest"])
    assert list(elsewhere.iterdir()) == []
    assert not is_patched(tree)


def test_damaged_manifests_and_originals_stop_undo(tree: Tree) -> None:
    write(tree, [BIRDS], patches=["birds"])
    kept = tree.root / ".caffeflow/originals" / BIRDS.path
    kept.write_text("owl\n")
    with pytest.raises(NativeError, match="not the original that was kept"):
        restore(tree)
    assert tree.read(BIRDS.path) == "tern\n"
    (tree.root / MANIFEST).write_text("{}")
    with pytest.raises(NativeError, match=r"manifest\.json' is damaged"):
        restore(tree)


def test_git_does_not_see_what_is_kept(tree: Tree) -> None:
    write(tree, [BIRDS], patches=["birds"])
    assert tree.read(".caffeflow/.gitignore") == "*\n"
