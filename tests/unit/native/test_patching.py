"""Patches on a small tree: planned, shown, applied, applied again, undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.errors import NativeError, UsageError
from caffeflow.native.originals import applied_patches, is_patched
from caffeflow.native.patches.patch import FileEdit, NewFile, Patch, insert_after, rewrite
from caffeflow.native.patching import apply, diff, plan, status, undo
from caffeflow.native.tree import Tree, open_tree
from tests.support.trees import BARE, contents, write_files

NAMES = {
    patch.id: patch
    for patch in (
        Patch(
            id="gulls-to-terns", group="opencv", reason="Gulls are gone.",
            edits=(rewrite("src/caffe/**/*.cpp", r"\bgull\b", "tern"),),
        ),
        Patch(
            id="terns-are-counted", group="cmake", reason="Terns need a number.",
            edits=(
                FileEdit(
                    path="src/caffe/birds.cpp",
                    needs=lambda text: "count" not in text,
                    edit=lambda text: insert_after(text, r"^tern\n", "count\n", expected="a line 'tern'"),
                ),
            ),
        ),
        Patch(
            id="a-heron", group="layers", reason="There is no heron.",
            new_files=(NewFile(path="src/caffe/heron/heron.cpp", source=lambda _tree: b"heron\n"),),
        ),
        Patch(
            id="for-rails-only", group="ssd", reason="Rails.",
            edits=(rewrite("src/caffe/**/*.cpp", "tern", "rail"),), applies=lambda tree: tree.has("rails"),
        ),
    )
}  # fmt: skip


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    files = {"src/caffe/birds.cpp": "gull\nowl\n", "src/caffe/util/dos.cpp": b"owl\r\ngull \xff\r\n"}
    return open_tree(write_files(tmp_path, dict(BARE) | files))


def states(tree: Tree) -> dict[str, str]:
    return {state.id: state.state for state in status(tree, NAMES)}


def test_status_works_each_patch_out_on_what_those_before_it_leave(tree: Tree) -> None:
    assert states(tree) == {
        "gulls-to-terns": "to do", "terns-are-counted": "to do", "a-heron": "to do",
        "for-rails-only": "not needed",
    }  # fmt: skip
    paths = {state.id: state.paths for state in status(tree, NAMES)}
    assert paths["gulls-to-terns"] == ("src/caffe/birds.cpp", "src/caffe/util/dos.cpp")
    assert paths["a-heron"] == ("src/caffe/heron/heron.cpp",)


def test_apply_twice_changes_nothing_the_second_time_and_undo_gives_every_byte_back(tree: Tree) -> None:
    pristine = contents(tree.root)
    apply(tree, plan(tree, patches=NAMES))
    assert tree.read("src/caffe/birds.cpp") == "tern\ncount\nowl\n"
    assert tree.read_bytes("src/caffe/heron/heron.cpp") == b"heron\n"
    assert applied_patches(tree) == ("gulls-to-terns", "terns-are-counted", "a-heron")
    assert set(states(tree).values()) == {"done", "not needed"}

    patched = contents(tree.root)
    again = plan(tree, patches=NAMES)
    assert (again.changes, again.patches) == ((), ())
    apply(tree, again)
    assert contents(tree.root) == patched

    assert undo(tree) == ["src/caffe/birds.cpp", "src/caffe/heron/heron.cpp", "src/caffe/util/dos.cpp"]
    assert contents(tree.root) == pristine


def test_line_ends_and_odd_bytes_are_kept(tree: Tree) -> None:
    apply(tree, plan(tree, patches=NAMES))
    assert tree.read_bytes("src/caffe/util/dos.cpp") == b"owl\r\ntern \xff\r\n"


def test_a_file_keeps_its_mode(tree: Tree) -> None:
    birds = tree.root / "src/caffe/birds.cpp"
    birds.chmod(0o750)
    apply(tree, plan(tree, patches=NAMES))
    assert birds.stat().st_mode & 0o777 == 0o750
    undo(tree)
    assert birds.stat().st_mode & 0o777 == 0o750


def test_only_and_skip_choose(tree: Tree) -> None:
    assert plan(tree, only=["a-heron"], patches=NAMES).patches == ("a-heron",)
    without = plan(tree, skip=["a-heron", "terns-are-counted"], patches=NAMES)
    assert without.patches == ("gulls-to-terns",)
    with pytest.raises(UsageError, match="no patch 'a-herron'; did you mean 'a-heron'"):
        plan(tree, only=["a-herron"], patches=NAMES)
    with pytest.raises(UsageError, match="no patch 'zzz'; see --list"):
        plan(tree, skip=["zzz"], patches=NAMES)


def test_patches_applied_one_after_the_other_are_undone_together(tree: Tree) -> None:
    pristine = contents(tree.root)
    apply(tree, plan(tree, only=["gulls-to-terns"], patches=NAMES))
    apply(tree, plan(tree, patches=NAMES))
    assert applied_patches(tree) == ("gulls-to-terns", "terns-are-counted", "a-heron")
    undo(tree)
    assert contents(tree.root) == pristine


def test_a_place_that_is_not_there_stops_all_and_says_what_was_expected(tree: Tree) -> None:
    pristine = contents(tree.root)
    with pytest.raises(NativeError) as error:
        plan(tree, skip=["gulls-to-terns"], patches=NAMES)
    for word in ("'terns-are-counted'", "a line 'tern'", "src/caffe/birds.cpp", "--skip terns-are-counted"):
        assert word in str(error.value)
    alone = {"terns-are-counted": NAMES["terns-are-counted"]}
    [state] = status(tree, alone)
    assert state.state == "cannot"
    assert "a line 'tern'" in state.why_not
    assert contents(tree.root) == pristine


def test_an_edit_that_does_not_end_its_own_need_is_refused(tree: Tree) -> None:
    endless = rewrite("src/caffe/birds.cpp", "owl", "owl owl")
    patch = Patch(id="endless", group="ssd", reason="Owls multiply.", edits=(endless,))
    with pytest.raises(NativeError, match=r"birds\.cpp, and it still needs it"):
        plan(tree, patches={"endless": patch})


def test_a_diff_shows_what_would_change_and_writes_nothing(tree: Tree) -> None:
    pristine = contents(tree.root)
    shown = diff(plan(tree, patches=NAMES).changes)
    assert contents(tree.root) == pristine
    assert not is_patched(tree)
    assert "--- a/src/caffe/birds.cpp\n+++ b/src/caffe/birds.cpp\n" in shown
    assert "-gull\n" in shown
    assert "--- /dev/null\n+++ b/src/caffe/heron/heron.cpp\n@@ -0,0 +1 @@\n+heron\n" in shown
