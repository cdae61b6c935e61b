"""From class names to labels: what is left out, what stays, and what the user is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.data.boxes import Annotation, Box
from caffeflow.data.named_boxes import Labels, NamedBox, NamedImage, given_label_map, listing_of
from caffeflow.data.sample import NO_LABEL, Deflated, File, Job, Member, Omission
from caffeflow.errors import DataError
from caffeflow.proto.labelmap import format_label_map, label_map_of

PLACE = Path("/raw/a.zip")
LABELS = Labels(label_map_of(["cat", "dog"]))


def image(name: str, *classes: str, split: str = "train") -> NamedImage:
    boxes = [NamedBox(name, (1.5, 2, 3 + place, 5), place == 1) for place, name in enumerate(classes)]
    return NamedImage(
        split=split,
        name=name,
        location=File(Path("/raw") / name),
        boxes=boxes,
        height=17,
        width=23,
        file="a.xml",
        image_id="7",
    )


def test_boxes_get_labels_in_the_order_of_the_source() -> None:
    listing = listing_of([image("a.jpg", "dog", "cat", "dog")], LABELS, keep_empty=True)
    corners = {"xmin": 1.5, "ymin": 2.0, "ymax": 5.0}
    boxes = (
        Box(label=2, xmax=3.0, **corners),
        Box(label=1, xmax=4.0, is_difficult=True, **corners),
        Box(label=2, xmax=5.0, **corners),
    )
    assert list(listing.splits["train"]) == [
        Job(
            name="a.jpg",
            label=NO_LABEL,
            location=File(Path("/raw/a.jpg")),
            annotation=Annotation(boxes=boxes, height=17, width=23, file="a.xml", image_id="7"),
        )
    ]
    assert listing.label_map is LABELS.label_map
    assert listing.class_names == ()


def test_locations_of_all_kinds_come_back() -> None:
    places = [File(Path("/raw/b.jpg")), Member(PLACE, 5, 7), Deflated(PLACE, 11, 13, 17)]
    images = [
        NamedImage(split="val", name=f"{number}.jpg", location=place, boxes=[NamedBox("cat", (1, 2, 3, 4))])
        for number, place in enumerate(places)
    ]
    listing = listing_of(images, LABELS, keep_empty=None)
    assert [job.location for job in listing.splits["val"]] == places
    assert "train" not in listing.splits


def test_unknown_classes_are_left_out_listed_and_told_by_name() -> None:
    before = [Omission(split="val", name="x.jpg", reason="missing")]
    images = [
        image("a.jpg", "dgo", "cat"),
        image("b.jpg", "dgo", split="val"),
        image("c.jpg", "none_of_the_above"),
    ]
    listing = listing_of(images, LABELS, keep_empty=True, omissions=before)
    assert listing.omissions[0] == before[0]
    assert [(o.split, o.name, o.reason, o.detail, o.is_box) for o in listing.omissions[1:]] == [
        ("train", "a.jpg", "unknown class", "'dgo' at 1.5,2,3,5", True),
        ("val", "b.jpg", "unknown class", "'dgo' at 1.5,2,3,5", True),
        ("train", "c.jpg", "unknown class", "'none_of_the_above' at 1.5,2,3,5", True),
    ]
    assert [box.label for box in listing.splits["train"][0].annotation.boxes] == [1]
    assert "class 'dgo' is not in the label map: 2 boxes are left out; did you mean 'dog'?" in listing.notes


def test_many_unknown_classes_are_told_shortly() -> None:
    listing = listing_of([image("a.jpg", *(f"thing{n}" for n in range(9)))], LABELS, keep_empty=True)
    told = [note for note in listing.notes if "label map" in note]
    assert len(told) == 6
    assert told[-1] == "4 more classes are not in the label map"


@pytest.mark.parametrize(
    ("keep_empty", "train", "val", "notes"),
    [
        (True, ["a.jpg", "b.jpg"], ["c.jpg"], 0),
        (False, ["a.jpg"], [], 2),
        (None, ["a.jpg"], ["c.jpg"], 1),
    ],
)
def test_images_without_boxes_stay_by_choice(
    keep_empty: bool | None, train: list[str], val: list[str], notes: int
) -> None:
    images = [image("a.jpg", "cat"), image("b.jpg"), image("c.jpg", split="val")]
    listing = listing_of(images, LABELS, keep_empty=keep_empty)
    assert [job.name for job in listing.splits.get("train", ())] == train
    assert [job.name for job in listing.splits.get("val", ())] == val
    assert sum("images without boxes are left out; --keep-empty" in note for note in listing.notes) == notes
    assert any("no val split" in note for note in listing.notes) == (not val)


def test_other_names_lead_to_the_same_label() -> None:
    labels = Labels(label_map_of(["cat", "dog"]), {"17": "cat", "18": "none_of_the_above"})
    assert (labels.find("17"), labels.find("cat"), labels.find("18"), labels.find("19")) == (1, 1, None, None)


def test_a_label_map_of_the_background_alone_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "labelmap.prototxt"
    path.write_text(format_label_map(label_map_of([])))
    with pytest.raises(DataError, match=r"labelmap\.prototxt: names nothing but the background"):
        given_label_map(path)
    path.write_text(format_label_map(label_map_of(["cat"])))
    assert given_label_map(path) == label_map_of(["cat"])
