"""What a tree says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.errors import NativeError
from caffeflow.native.tree import decode, encode, open_tree
from tests.support.trees import BARE, SCHEMA, SSD, write_files

SCHEMA_FILE = "src/caffe/proto/caffe.proto"


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        (BARE, "bvlc"),
        (BARE | {"debian/control": "Source: caffe\nSection: science\n"}, "debian"),
        (SSD, "weiliu-ssd"),
        (SSD | {SCHEMA_FILE: SCHEMA % ("", "optional bool tf_pad = 19;")}, "chuanqi-ssd"),
        (SSD | {SCHEMA_FILE: SCHEMA % ("optional YoloParameter pelican_param = 213;", "")}, "other"),
        (BARE | {SCHEMA_FILE: SCHEMA % ("optional ReLU6Parameter relu6_param = 208;", "")}, "bvlc"),
    ],
)
def test_kind_is_told_from_schema_and_layers(tmp_path: Path, files: dict[str, str], kind: str) -> None:
    assert open_tree(write_files(tmp_path, files)).kind == kind


def test_fields_of_a_fork_are_named(tmp_path: Path) -> None:
    files = SSD | {SCHEMA_FILE: SCHEMA % ("optional YoloParameter pelican_param = 213;", "")}
    assert open_tree(write_files(tmp_path, files)).foreign_params == {"pelican_param"}


def test_layer_types_come_from_both_registrations_but_not_from_tests(tmp_path: Path) -> None:
    tree = open_tree(write_files(tmp_path, SSD))
    assert tree.layer_types == {"Convolution", "Bias", "MultiBoxLoss"}
    assert tree.has_ssd
    assert not tree.has_relu6


def test_fields_of_a_message_are_its_own(tmp_path: Path) -> None:
    tree = open_tree(write_files(tmp_path, BARE))
    assert tree.layer_fields == {"name": 1, "convolution_param": 106}
    assert tree.message_fields("ConvolutionParameter") == {"num_output": 1}
    assert tree.message_fields("Pelican") == {}


@pytest.mark.parametrize(
    ("files", "version", "systems"),
    [
        (
            {"CMakeLists.txt": 'set(CAFFE_TARGET_VERSION "1.2.3" CACHE STRING "its version")\n'},
            "1.2.3",
            ("cmake",),
        ),
        (
            {
                "Makefile": "DYNAMIC_VERSION_MAJOR := 2\nDYNAMIC_VERSION_MINOR := 3\nDYNAMIC_VERSION_REVISION := 5-rc7\n"
            },
            "2.3.5-rc7",
            ("make",),
        ),
        ({}, "unknown", ()),
    ],
)
def test_version_and_build_systems(
    tmp_path: Path, files: dict[str, str], version: str, systems: tuple[str, ...]
) -> None:
    tree = open_tree(write_files(tmp_path, dict(BARE) | files))
    assert (tree.version, tree.build_systems) == (version, systems)


def test_a_folder_that_is_no_tree_is_refused_with_what_it_lacks(tmp_path: Path) -> None:
    write_files(tmp_path, {path: text for path, text in BARE.items() if path != "tools/caffe.cpp"})
    with pytest.raises(NativeError, match=r"it has no tools/caffe\.cpp;"):
        open_tree(tmp_path)
    with pytest.raises(NativeError, match="is no folder"):
        open_tree(tmp_path / "absent")


def test_globs_pass_over_links(tmp_path: Path) -> None:
    tree = open_tree(write_files(tmp_path, BARE))
    (tmp_path / "src/caffe/layers/linked.cpp").symlink_to("bias_layer.cpp")
    assert list(tree.files("src/caffe/layers/*.cpp")) == ["src/caffe/layers/bias_layer.cpp"]


def test_text_keeps_bytes_that_are_no_utf_8() -> None:
    data = bytes(range(256))
    assert encode(decode(data)) == data
