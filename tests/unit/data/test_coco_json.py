"""Files in COCO's form, walked piece by piece: the same as the whole document says, and faults with their place."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from caffeflow.data.coco_json import parse_coco
from caffeflow.errors import DataError
from tests.support.detection_files import COCO_SOME, coco_json

IMAGES = {9: "a.jpg", 25: "sub/b.jpg", 30: "c.jpg"}


def boxes(count: int) -> list[dict[str, object]]:
    rng = np.random.default_rng(11)
    return [
        {
            "image_id": int(rng.choice(list(IMAGES))),
            "category_id": int(rng.choice(list(COCO_SOME))),
            "bbox": [round(float(side), 2) for side in rng.uniform(0, 500, 4)],
            "iscrowd": int(rng.integers(2)),
        }
        for _ in range(count)
    ]


@pytest.mark.parametrize("indent", [None, 1])
def test_all_of_it_is_what_the_whole_document_says(indent: int | None) -> None:
    document: dict[str, Any] = json.loads(coco_json(IMAGES, boxes(37), COCO_SOME))
    found = parse_coco(json.dumps(document, indent=indent).encode(), "a.json")
    assert found.categories == COCO_SOME
    assert [(image.id, image.file_name, image.height, image.width) for image in found.images] == [
        (number, name, 17, 23) for number, name in IMAGES.items()
    ]
    assert sum(len(image.objects) for image in found.images) == 37
    assert found.strays == 0
    for image in found.images:
        expected = [each for each in document["annotations"] if each["image_id"] == image.id]
        assert [(each.category, each.is_crowd) for each in image.objects] == [
            (each["category_id"], each["iscrowd"] == 1) for each in expected
        ]
        for each, raw in zip(image.objects, expected, strict=True):
            x, y, width, height = (np.float32(side) for side in raw["bbox"])
            assert each.corners == (x, y, x + width, y + height)


def test_the_order_of_the_arrays_does_not_matter() -> None:
    document = json.loads(coco_json(IMAGES, boxes(5), COCO_SOME))
    turned = dict(reversed(document.items()))
    assert list(turned) != list(document)
    assert parse_coco(json.dumps(turned).encode(), "a.json") == parse_coco(
        json.dumps(document).encode(), "a.json"
    )


def test_a_byte_order_mark_and_other_keys_do_no_harm() -> None:
    content = (
        b'{"x": {"images": [1, {"y": "]}"}]}, "z": null, "q": "\\"[", ' + coco_json(IMAGES, [], COCO_SOME)[1:]
    )
    assert len(parse_coco(b"\xef\xbb\xbf" + content, "a.json").images) == 3


def test_annotations_of_images_that_are_not_listed_are_counted() -> None:
    stray = {"image_id": 77, "category_id": 1, "bbox": [1, 2, 3, 4]}
    assert parse_coco(coco_json(IMAGES, [stray, stray], COCO_SOME), "a.json").strays == 2


@pytest.mark.parametrize(
    "bbox",
    [[1, 2, 3], [], None, [1, 2, "3", 4], [1, 2, None, 4], {"x": 1}, [1, 2, 1e300, 4], [10**400, 2, 3, 4]],
)
def test_a_box_that_is_none_says_so(bbox: object) -> None:
    content = coco_json(IMAGES, [{"image_id": 9, "category_id": 1, "bbox": bbox}], COCO_SOME)
    (found,) = parse_coco(content, "a.json").images[0].objects
    assert found.corners is None
    assert found.problem == f"bbox is {json.dumps(bbox)}"


def test_a_box_with_nan_is_none() -> None:
    content = coco_json(
        IMAGES, [{"image_id": 9, "category_id": 1, "bbox": [1, float("nan"), 3, 4]}], COCO_SOME
    )
    (found,) = parse_coco(content, "a.json").images[0].objects
    assert found.corners is None
    assert "NaN" in found.problem


@pytest.mark.parametrize("size", [(0, 23), (17, -1)])
def test_a_size_that_is_none_is_not_known(size: tuple[int, int]) -> None:
    image = parse_coco(coco_json(IMAGES, [], COCO_SOME, size=size), "a.json").images[0]
    assert (image.height, image.width) == (0, 0)


def test_long_reading_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caffeflow.data.coco_json._TELL_EVERY", 10)
    heard: list[tuple[int, int]] = []
    content = coco_json(IMAGES, boxes(37), COCO_SOME)
    parse_coco(content, "a.json", on_chars=lambda done, total: heard.append((done, total)))
    assert len(heard) >= 4
    assert heard == sorted(heard)
    assert {total for _, total in heard} == {len(content)}


GOOD = coco_json(IMAGES, [], COCO_SOME)
REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", r"a\.json:1:1: is no JSON"),
    "an array": (b"[]", r"a\.json:1:1: is no JSON \(Expecting '\{'\)"),
    "cut off": (GOOD[:-3], r"a\.json:1:\d+: is no JSON"),
    "a comma is missing": (
        b'{"images": []\n "annotations": []}',
        r"a\.json:2:2: is no JSON \(Expecting ','\)",
    ),
    "something behind": (GOOD + b" x", r"is no JSON \(Extra data\)"),
    "not text": (b"\xff\xfe\x00", r"a\.json: is not UTF-8 text"),
    "no annotations": (b'{"images": [], "categories": []}', r"a\.json: 'annotations' is missing"),
    "no categories": (b'{"images": [], "annotations": [], "categories": []}', "'categories' is empty"),
    "an image is a number": (
        b'{"images": [7], "annotations": [], "categories": []}',
        r"'images' has an element.*: 7",
    ),
    "no image id": (
        coco_json(IMAGES, [{"category_id": 1, "bbox": [1, 2, 3, 4]}], COCO_SOME),
        r"'annotations' has an element that is not of COCO's form \(KeyError: 'image_id'\)",
    ),
    "twice": (GOOD.replace(b'"id": 25', b'"id": 9'), "image id 9 is there twice"),
    "deep": (b'{"images": ' + b"[" * 200_000, "nested too deeply"),
    "thousands of digits": (
        b'{"images": ' + b"9" * 5000 + b"}",
        r"a\.json: holds a number that no annotation has",
    ),
    "an infinite id": (
        b'{"images": [{"id": Infinity, "file_name": "a.jpg"}], "annotations": [], "categories": []}',
        r"'images' has an element that is not of COCO's form \(OverflowError: ",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_of_the_form_is_refused_with_its_place(case: str) -> None:
    content, message = REFUSED[case]
    with pytest.raises(DataError, match=message):
        parse_coco(content, "a.json")
