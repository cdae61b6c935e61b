"""COCO's classes: the two numberings, by what the published label maps say of some classes."""

from __future__ import annotations

import pytest

from caffeflow.data.coco_labels import CATEGORIES, coco_label_map
from caffeflow.errors import DataError
from caffeflow.proto.labelmap import names_in_order

# From weiliu89's labelmap_coco.prototxt (name, label, display name) and from chuanqi305's (name, label).
WITHOUT_GAPS = [
    ("1", 1, "person"),
    ("11", 11, "fire hydrant"),
    ("13", 12, "stop sign"),
    ("90", 80, "toothbrush"),
]
WITH_GAPS = [
    ("person", 1),
    ("stop sign", 13),
    ("backpack", 27),
    ("wine glass", 46),
    ("toilet", 70),
    ("toothbrush", 90),
]


def test_there_are_eighty_categories_with_ten_gaps() -> None:
    assert len(CATEGORIES) == 80
    assert set(range(1, 91)) - set(CATEGORIES) == {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
    assert [CATEGORIES[number] for number in (18, 44, 62, 84)] == ["dog", "bottle", "chair", "book"]


def test_eighty_labels_without_gaps_are_named_by_their_ids() -> None:
    label_map = coco_label_map(CATEGORIES, 80)
    assert label_map.num_classes == 81
    entries = {entry.name: (entry.label, entry.display_name) for entry in label_map.labels}
    assert {name: entries[name] for name, _, _ in WITHOUT_GAPS} == {
        name: (label, display) for name, label, display in WITHOUT_GAPS
    }
    assert entries["none_of_the_above"] == (0, "background")
    assert [entry.label for entry in label_map.labels] == list(range(81))


@pytest.mark.parametrize("numbers", [tuple(CATEGORIES), (1, 18, 90)])
def test_the_ids_as_labels_make_91_classes_even_of_some(numbers: tuple[int, ...]) -> None:
    label_map = coco_label_map({number: CATEGORIES[number] for number in numbers}, 91)
    assert label_map.num_classes == 91
    assert [
        (entry.name, entry.label) for entry in label_map.labels if (entry.name, entry.label) in WITH_GAPS
    ] == WITH_GAPS
    names = names_in_order(label_map)
    assert names[0] == "background"
    assert [number for number, name in enumerate(names) if name == "N/A"] == sorted(
        set(range(1, 91)) - set(CATEGORIES)
    )


def test_own_categories_are_numbered_either_way() -> None:
    own = {7: "plate", 3: "car"}
    assert [(e.name, e.label, e.display_name) for e in coco_label_map(own, 80).labels[1:]] == [
        ("3", 1, "car"),
        ("7", 2, "plate"),
    ]
    by_id = coco_label_map(own, 91)
    assert [(e.name, e.label) for e in by_id.labels[1:]] == [("car", 3), ("plate", 7)]
    assert by_id.num_classes == 8


def test_an_id_of_zero_cannot_be_a_label() -> None:
    assert coco_label_map({0: "car"}, 80).find_label("0") == 1
    with pytest.raises(DataError, match="category 'car' has id 0, and label 0 is the background"):
        coco_label_map({0: "car", 1: "plate"}, 91)
