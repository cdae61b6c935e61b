"""Label maps: read, written, and what contradicts itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st

from caffeflow.errors import DataError
from caffeflow.proto import caffe_pb2
from caffeflow.proto.labelmap import (
    Label,
    LabelMap,
    format_label_map,
    label_map_of,
    names_in_order,
    read_label_map,
)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_class_names_count_from_one_behind_the_background() -> None:
    label_map = label_map_of(["dog", "big cat"])
    assert label_map.labels == (
        Label("none_of_the_above", 0, "background"),
        Label("dog", 1, "dog"),
        Label("big cat", 2, "big cat"),
    )
    assert label_map.num_classes == 3
    assert (label_map.label_of("big cat"), label_map.find_label("dog"), label_map.find_label("horse")) == (
        2,
        1,
        None,
    )
    assert names_in_order(label_map) == ["background", "dog", "big cat"]
    assert label_map_of([]).num_classes == 1


def test_the_text_is_that_of_ssds_maps() -> None:
    assert format_label_map(label_map_of(["dog"])) == (
        'item {\n  name: "none_of_the_above"\n  label: 0\n  display_name: "background"\n}\n'
        'item {\n  name: "dog"\n  label: 1\n  display_name: "dog"\n}\n'
    )


NAMES = st.lists(
    st.text(min_size=1, max_size=9).filter(lambda name: name != "none_of_the_above"), unique=True
)


@given(NAMES)
def test_what_is_written_reads_back_here_and_with_protobuf(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    label_map = label_map_of(names)
    text = format_label_map(label_map)
    path = write(tmp_path_factory.getbasetemp() / "labelmap.prototxt", text)
    assert read_label_map(path) == label_map
    message = text_format.Parse(text, caffe_pb2.LabelMap())
    assert [(item.name, item.label, item.display_name) for item in message.item] == [
        (entry.name, entry.label, entry.display_name) for entry in label_map.labels
    ]


def test_gaps_are_empty_names_and_a_missing_display_name_is_the_name(tmp_path: Path) -> None:
    path = write(tmp_path / "l", 'item { name: "b" label: 3 } item { name: "1" label: 1 display_name: "a" }')
    label_map = read_label_map(path)
    assert label_map.num_classes == 4
    assert names_in_order(label_map) == ["", "a", "", "b"]
    assert label_map.names == {3: "b", 1: "1"}
    assert label_map.label_of("1") == 1


def test_placeholders_for_unused_numbers_may_be_many(tmp_path: Path) -> None:
    # The published SSDLite's map has ten of them.
    text = "".join(
        f'item {{ name: "{name}" label: {n} display_name: "{name}" }}\n'
        for n, name in enumerate(["x", "N/A", "y", "N/A"])
    )
    label_map = read_label_map(write(tmp_path / "l", text))
    assert label_map.num_classes == 4
    assert label_map.find_label("N/A") is None
    assert label_map.label_of("y") == 2
    assert format_label_map(label_map).count("N/A") == 4


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    label_map = label_map_of(["person", "dog"])
    with pytest.raises(DataError, match=r"class 'persn' is not in the label map; did you mean 'person'\?"):
        label_map.label_of("persn")
    with pytest.raises(
        DataError, match=r"class '\?' is not in the label map; it has none_of_the_above, person, dog"
    ):
        label_map.label_of("?")


REFUSED: dict[str, tuple[str, str]] = {
    "a name twice": (
        'item { name: "a" label: 1 } item { name: "a" label: 2 }',
        "l: label map: name 'a' is there twice",
    ),
    "a label twice": (
        'item { name: "a" label: 1 } item { name: "b" label: 1 }',
        "l: label map: label '1' is there twice",
    ),
    "negative": ('item { name: "a" label: -1 }', "l: label map: 'a' has label -1; labels count from 0"),
    "empty": ("", "l: has no item"),
    "another field": ('item { name: "a" label: 1 }\nitem { nome: "b" }', r"l:2:\d+: .*nome"),
    "a net": ('name: "net"\nlayer { name: "a" }', "l:1:1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_contradicts_itself_is_refused_with_its_place(tmp_path: Path, case: str) -> None:
    text, message = REFUSED[case]
    with pytest.raises(DataError, match=message):
        read_label_map(write(tmp_path / "l", text))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none: label map cannot be read: No such file"):
        read_label_map(tmp_path / "none")
    (tmp_path / "l").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"l: label map cannot be read: is not text"):
        read_label_map(tmp_path / "l")


def test_a_map_made_by_hand_is_checked_too() -> None:
    with pytest.raises(DataError, match="label '2' is there twice"):
        LabelMap((Label("a", 2, "a"), Label("b", 2, "b")))
