from __future__ import annotations

from pathlib import Path

from caffeflow.native.patches.cuda_device import CUDA_DEVICE_PATCHES
from caffeflow.native.patching import apply, plan, status, undo
from tests.support.cuda_trees import write_cuda_tree

PATCHES = {patch.id: patch for patch in CUDA_DEVICE_PATCHES}


def test_removed_properties_are_asked_of_the_device(tmp_path: Path) -> None:
    tree = write_cuda_tree(tmp_path)
    apply(tree, plan(tree, patches=PATCHES))
    common = tree.read("src/caffe/common.cpp")
    assert '"Clock: " << DeviceClockRate();' in common
    assert '<< prop.name << (DeviceOverlaps() ? "Yes" : "No");' in common
    assert '(DeviceHasTimeout() ? "Yes" : "No");' in common
    own, ours = '#include "caffe/common.hpp"', '#include "caffe/util/device_attributes.hpp"'
    assert f"{own}\n{ours}\n" in common
    platform = tree.read("src/caffe/test/test_platform.cpp")
    assert f'#include "caffe/test/test_caffe_main.hpp"\n{ours}\n' in platform
    assert '%d, %s\\n", DeviceClockRate(),\n         (DeviceOverlaps() ? "Yes" : "No"));' in platform
    assert "DeviceClockRate()" in tree.read("include/caffe/util/device_attributes.hpp")


def test_twice_changes_nothing_and_undo_gives_all_back(tmp_path: Path) -> None:
    tree = write_cuda_tree(tmp_path)
    before = {path: tree.read(path) for path in tree.files("**/*")}
    apply(tree, plan(tree, patches=PATCHES))
    assert [state.state for state in status(tree, PATCHES)] == ["done"]
    assert plan(tree, patches=PATCHES).changes == ()
    undo(tree)
    assert {path: tree.read(path) for path in tree.files("**/*")} == before


def test_a_tree_that_prints_no_such_property_needs_nothing(tmp_path: Path) -> None:
    tree = write_cuda_tree(tmp_path, common="", test_platform="int main() { return 0; }\n")
    assert [state.state for state in status(tree, PATCHES)] == ["not needed"]
