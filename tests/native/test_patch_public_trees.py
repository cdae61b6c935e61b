"""The patches on real trees: those that CAFFEFLOW_TREES names, folder after folder, as PATH does.

Meant for unpacked archives of BVLC/caffe, weiliu89/caffe (branch ssd), chuanqi305/ssd and Debian's
source package; each is copied, and never written to.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

import pytest

from caffeflow.native.patches.print_statements import is_python_3
from caffeflow.native.patching import apply, plan, status, undo
from caffeflow.native.tree import Tree, open_tree
from tests.support.native import TREES, named_trees
from tests.support.trees import contents

pytestmark = pytest.mark.native

SCRIPTS: Final = ("tools/extra/*.py*", "scripts/*.py", "data/**/*.py", "examples/**/*.py", "python/**/*.py")


@pytest.fixture(params=named_trees() or [None], ids=lambda path: path.name if path else "none")
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    if request.param is None:
        pytest.skip(f"no trees to patch; name unpacked ones in {TREES}")
    return open_tree(Path(shutil.copytree(request.param, tmp_path / "tree", symlinks=True)))


def test_a_real_tree_is_patched_once_and_comes_back_whole(tree: Tree) -> None:
    pristine = contents(tree.root)
    before = {state.id: state for state in status(tree)}
    assert {state.id: state.why_not for state in before.values() if state.state == "cannot"} == {}
    what = plan(tree)
    assert what.patches == tuple(name for name, state in before.items() if state.state == "to do")

    apply(tree, what)
    patched = open_tree(tree.root)
    after = {state.id: state.state for state in status(patched)}
    assert {after[name] for name in what.patches} == {"done"}
    assert not {"to do", "cannot"} & set(after.values())
    assert plan(patched).changes == ()
    assert patched.kind == tree.kind

    scripts = [path for pattern in SCRIPTS for path in patched.files(pattern)]
    assert len(scripts) > 20
    assert [path for path in scripts if not is_python_3(patched.read(path))] == []

    assert undo(patched) == sorted(change.path for change in what.changes)
    assert contents(tree.root) == pristine
