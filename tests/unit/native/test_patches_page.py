from __future__ import annotations

from caffeflow.native.patches import PATCHES
from caffeflow.native.reference import patches_page


def test_every_patch_has_one_row_under_its_groups_title() -> None:
    page = patches_page()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(PATCHES)
    for patch in PATCHES.values():
        assert page.count(f"| `{patch.id}` | {patch.reason} |") == 1
    groups = [section.splitlines()[0] for section in page.split("## ")[1:]]
    assert len(groups) == len({patch.group for patch in PATCHES.values()}) == 7


def test_a_row_names_the_files_that_are_edited() -> None:
    row = next(line for line in patches_page().splitlines() if line.startswith("| `layer-relu6`"))
    assert row.endswith("| `src/caffe/proto/caffe.proto`, new files |")
