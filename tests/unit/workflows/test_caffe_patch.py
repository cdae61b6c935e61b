"""The workflow behind `caffeflow caffe patch`."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.errors import NativeError
from caffeflow.native.patches import PATCHES
from caffeflow.workflows.caffe_patch import list_patches, patch_tree, show_changes, undo_patches
from tests.support.trees import BARE, contents, write_files

IO = "src/caffe/util/io.cpp"
CHOSEN = ("opencv-read-flags", "protobuf-bytes-limit")
FILES = dict(BARE) | {IO: "read(CV_LOAD_IMAGE_COLOR);\nin->SetTotalBytesLimit(a, b);\n"}


def test_list_show_patch_and_undo(tmp_path: Path) -> None:
    write_files(tmp_path, FILES)
    pristine = contents(tmp_path)
    assert [state.id for state in list_patches(tmp_path)] == list(PATCHES)

    shown = show_changes(tmp_path, only=CHOSEN)
    assert "+read(cv::IMREAD_COLOR);" in shown
    assert contents(tmp_path) == pristine

    report = patch_tree(tmp_path, only=CHOSEN)
    assert (report.tree, report.patches, report.files) == ("BVLC Caffe", CHOSEN, (IO,))
    assert show_changes(tmp_path, only=CHOSEN) == ""
    assert patch_tree(tmp_path, only=CHOSEN).files == ()

    assert undo_patches(tmp_path) == [IO]
    assert contents(tmp_path) == pristine


def test_a_folder_that_is_no_tree_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NativeError, match="is no Caffe tree"):
        list_patches(tmp_path)


def test_every_patch_says_on_one_line_why_it_is() -> None:
    assert len(PATCHES) == 32
    for name, patch in PATCHES.items():
        assert name == patch.id
        assert patch.reason
        assert "\n" not in patch.reason
        assert patch.edits or patch.new_files
