"""The patches on Debian's source package of Caffe, by the commands as a user types them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from caffeflow.cli.main import run
from tests.support.native import SOURCE, SOURCE_REASON, why_missing
from tests.support.trees import contents

pytestmark = pytest.mark.native

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the tree."""
    if not SOURCE.is_dir():
        pytest.skip(why_missing("source package of Debian's Caffe", SOURCE_REASON))
    return Path(shutil.copytree(SOURCE, tmp_path / "caffe", symlinks=True))


def asked(capsys: Captured, *words: str | Path) -> Any:
    """What `caffeflow caffe` says as JSON; doctor ends with 1 where this machine could not build."""
    code = run(["caffe", *map(str, words), "--json"])
    assert code == 0 or (words[0], code) == ("doctor", 1)
    return json.loads(capsys.readouterr().out)


def test_debians_source_is_patched_once_and_comes_back_whole(tree: Path, capsys: Captured) -> None:
    pristine = contents(tree)
    found = asked(capsys, "doctor", tree)
    assert (found["tree"]["kind"], found["tree"]["has_ssd"]) == ("debian", False)
    to_do = [patch["id"] for patch in found["patches"] if patch["state"] == "to do"]
    assert {"layer-depthwise-conv", "layer-relu6", "cmake-minimum"} <= set(to_do)
    assert [patch for patch in found["patches"] if patch["state"] == "cannot"] == []

    shown = asked(capsys, "patch", tree, "--dry-run")["diff"]
    assert contents(tree) == pristine
    done = asked(capsys, "patch", tree)
    assert done["patches"] == to_do
    assert all(f"+++ b/{path}" in shown for path in done["files"])

    patched = contents(tree)
    assert asked(capsys, "patch", tree) == {"patches": [], "files": []}
    assert asked(capsys, "patch", tree, "--dry-run") == {"diff": ""}
    assert contents(tree) == patched
    states = {patch["id"]: patch["state"] for patch in asked(capsys, "patch", tree, "--list")}
    assert {states[name] for name in to_do} == {"done"}

    assert sorted(asked(capsys, "patch", tree, "--undo")["restored"]) == sorted(done["files"])
    assert contents(tree) == pristine
