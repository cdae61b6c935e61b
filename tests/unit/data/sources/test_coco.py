"""COCO from its zips or folders, both numberings, and files of one's own in its form."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caffeflow.data.coco_files import CocoSettings
from caffeflow.data.sample import Deflated, File, Listing, Member
from caffeflow.data.sources.coco import list_jobs
from caffeflow.errors import DataError, UsageError
from caffeflow.proto.labelmap import format_label_map, label_map_of
from tests.support.detection_files import COCO_SOME, coco_2017, coco_json, jpeg, write_tree, write_zip


def write_zips(folder: Path, *, deflated: bool = False) -> None:
    train, val, annotations = coco_2017()
    write_zip(folder / "train2017.zip", train, deflated=deflated)
    write_zip(folder / "val2017.zip", val, deflated=deflated)
    write_zip(folder / "annotations_trainval2017.zip", annotations, deflated=True)


def write_folders(root: Path) -> Path:
    for files in coco_2017():
        write_tree(root, files)
    return root


def names(listing: Listing) -> dict[str, list[str]]:
    return {split: [job.name for job in jobs] for split, jobs in listing.splits.items()}


def labels(listing: Listing, split: str) -> list[list[tuple[int, bool]]]:
    return [[(box.label, box.is_difficult) for box in job.annotation.boxes] for job in listing.splits[split]]


@pytest.mark.parametrize(("layout", "kind"), [("stored", Member), ("deflated", Deflated), ("folders", File)])
def test_the_published_layouts_are_found_and_read_in_place(layout: str, kind: type) -> None:
    if layout == "folders":
        write_folders(Path("data/raw/coco"))
    else:
        write_zips(Path("data/raw"), deflated=layout == "deflated")
    listing = list_jobs(CocoSettings())
    train, val, _ = coco_2017()
    assert names(listing) == {
        "train": ["train2017/000000000009.jpg", "train2017/000000000025.jpg"],
        "val": ["val2017/000000000139.jpg", "val2017/000000000285.jpg"],
    }
    for job in (*listing.splits["train"], *listing.splits["val"]):
        assert type(job.location) is kind
        assert job.location.read() == (train | val)[job.name]
        assert job.annotation is not None
        assert (job.annotation.height, job.annotation.width, job.annotation.file) == (17, 23, "")
        assert int(job.annotation.image_id) == int(Path(job.name).stem)
    assert labels(listing, "train") == [[(3, True)], [(2, False), (1, False)]]
    assert labels(listing, "val") == [[], [(1, False)]]
    assert listing.notes == ("train: 1 images without boxes are left out; --keep-empty keeps them",)


def test_the_far_corner_is_a_sum_in_single_precision() -> None:
    write_folders(Path())
    box = list_jobs(CocoSettings()).splits["train"][1].annotation.boxes[0]
    x, y, width, height = (np.float32(side) for side in (1.3, 2.2, 3.1, 4.4))
    assert (box.xmin, box.ymin, box.xmax, box.ymax) == (x, y, x + width, y + height)
    assert box.xmax != np.float32(1.3 + 3.1)  # what a sum in double precision would give


@pytest.mark.parametrize(("keep_empty", "train", "val"), [(None, 2, 2), (True, 3, 2), (False, 2, 1)])
def test_images_without_boxes_stay_by_choice(keep_empty: bool | None, train: int, val: int) -> None:
    write_folders(Path())
    splits = list_jobs(CocoSettings(keep_empty=keep_empty)).splits
    assert (len(splits["train"]), len(splits["val"])) == (train, val)


def test_both_numberings() -> None:
    write_folders(Path())
    listing = list_jobs(CocoSettings(coco_ids=91))
    assert labels(listing, "train") == [[(90, True)], [(18, False), (1, False)]]
    assert listing.label_map is not None
    assert listing.label_map.num_classes == 91
    eighty = list_jobs(CocoSettings()).label_map
    assert eighty is not None
    assert [(e.name, e.display_name) for e in eighty.labels[1:]] == [
        (str(n), name) for n, name in COCO_SOME.items()
    ]


@pytest.mark.parametrize(("first", "label"), [("dog", 1), ("18", 1), ("cat", None)])
def test_a_given_label_map_may_name_words_or_ids(first: str, label: int | None) -> None:
    write_folders(Path())
    Path("l").write_text(format_label_map(label_map_of([first, "person", "toothbrush"])))
    listing = list_jobs(CocoSettings(labelmap=Path("l")))
    found = labels(listing, "train")[1]
    assert found == ([(2, False)] if label is None else [(label, False), (2, False)])
    assert len(listing.omissions) == (label is None)


def test_merging_joins_both_and_a_share_may_be_held_back() -> None:
    write_folders(Path())
    merged = list_jobs(CocoSettings(merge=True, keep_empty=True))
    assert names(merged) == {"train": [*sorted(coco_2017()[0]), *sorted(coco_2017()[1])]}
    assert any("no val split" in note for note in merged.notes)
    shared = list_jobs(CocoSettings(merge=True, keep_empty=True, val_fraction=0.4))
    assert {split: len(jobs) for split, jobs in shared.splits.items()} == {"train": 3, "val": 2}
    with pytest.raises(UsageError, match="leave it out, or join both with --merge"):
        list_jobs(CocoSettings(val_fraction=0.4))


def test_one_split_only_needs_its_own_files() -> None:
    _, val, annotations = coco_2017()
    write_tree(Path(), val | annotations)
    assert set(list_jobs(CocoSettings(only="val")).splits) == {"val"}
    with pytest.raises(
        DataError, match=r"COCO is not here.*\n  train2017\.zip  19,336,861,798 bytes  md5 cced6f7f"
    ):
        list_jobs(CocoSettings())
    with pytest.raises(UsageError, match="--merge joins both"):
        list_jobs(CocoSettings(only="val", merge=True))


def test_2014_is_taken_where_2017_is_not() -> None:
    train, val, annotations = coco_2017()
    renamed = {name.replace("2017", "2014"): content for name, content in (train | val | annotations).items()}
    write_tree(Path("older"), renamed)
    found = list_jobs(CocoSettings(root=Path("older")))
    assert names(found)["val"] == ["val2014/000000000139.jpg", "val2014/000000000285.jpg"]
    with pytest.raises(DataError, match=r"val2017\.zip  815,585,330 bytes"):
        list_jobs(CocoSettings(root=Path("older"), year="2017"))
    write_zips(Path("older"))
    assert "val2017/000000000139.jpg" in names(list_jobs(CocoSettings(root=Path("older"))))["val"]


def test_nothing_there_says_what_to_get() -> None:
    with pytest.raises(DataError) as caught:
        list_jobs(CocoSettings())
    for words in (
        "annotations_trainval2017.zip  252,907,541 bytes  md5 f4bbac642086de4f52a3fdda2de5fa2c",
        "val2017.zip  815,585,330 bytes  md5 442b8da7639aecaf257c1dceb8ba8c80",
        "cocodataset.org",
        "--train-json",
    ):
        assert words in str(caught.value)
    with pytest.raises(DataError, match=r"train2014\.zip  13,510,573,713 bytes"):
        list_jobs(CocoSettings(year="2014"))


# -- one's own files ----------------------------------------------------------------------------------

OWN = {7: "plate", 3: "car"}
BOXES = [
    {"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4]},
    {"image_id": 2, "category_id": 3, "bbox": [1, 2, 3, 4]},
]


def own(**images: str) -> CocoSettings:
    """Writes a file about images 1 and 2 (or as named), and the images."""
    listed = {1: images.get("first", "a.jpg"), 2: images.get("second", "sub/b.jpg")}
    Path("own.json").write_bytes(coco_json(listed, BOXES, OWN))
    write_tree(Path("photos"), {"a.jpg": jpeg(1), "sub/b.jpg": jpeg(2)})
    return CocoSettings(train_json=Path("own.json"), train_images=Path("photos"))


def test_own_files_have_their_own_categories() -> None:
    listing = list_jobs(own())
    assert names(listing) == {"train": ["photos/a.jpg", "photos/sub/b.jpg"]}
    assert labels(listing, "train") == [[(2, False)], [(1, False)]]
    assert labels(list_jobs(replace(own(), coco_ids=91)), "train") == [[(7, False)], [(3, False)]]
    shared = list_jobs(replace(own(), val_fraction=0.5))
    assert {split: len(jobs) for split, jobs in shared.splits.items()} == {"train": 1, "val": 1}


def test_images_may_lie_in_any_folder_of_an_archive() -> None:
    settings = own()
    write_zip(Path("all.zip"), {"export/images/a.jpg": jpeg(1), "export/images/sub/b.jpg": jpeg(2)})
    listing = list_jobs(replace(settings, train_images=Path("all.zip")))
    assert names(listing) == {"train": ["all/a.jpg", "all/sub/b.jpg"]}
    assert [job.location.read() for job in listing.splits["train"]] == [jpeg(1), jpeg(2)]


def test_two_own_files_must_agree_on_the_categories() -> None:
    settings = replace(own(), val_json=Path("val.json"), val_images=Path("photos"))
    Path("val.json").write_bytes(coco_json({1: "a.jpg"}, BOXES[:1], OWN))
    assert set(list_jobs(settings).splits) == {"train", "val"}
    Path("val.json").write_bytes(coco_json({1: "a.jpg"}, BOXES[:1], {7: "plate"}))
    with pytest.raises(DataError, match=r"val\.json: has other categories"):
        list_jobs(settings)


def test_faults_are_listed_and_the_rest_goes_on() -> None:
    settings = own(second="lost.jpg")
    bad = [
        {"image_id": 1, "category_id": 7, "bbox": [1, 2, 3]},
        {"image_id": 1, "category_id": 55, "bbox": [1, 2, 3, 4]},
        {"image_id": 99, "category_id": 7, "bbox": [1, 2, 3, 4]},
    ]
    Path("own.json").write_bytes(coco_json({1: "a.jpg", 2: "lost.jpg"}, [*BOXES, *bad], OWN))
    listing = list_jobs(settings)
    assert names(listing) == {"train": ["photos/a.jpg"]}
    assert labels(listing, "train") == [[(2, False)]]
    assert [(o.name, o.reason, o.detail, o.is_box) for o in listing.omissions] == [
        ("photos/a.jpg", "no box", "category 7: bbox is [1, 2, 3]", True),
        ("photos/lost.jpg", "missing", "not in photos", False),
        ("photos/a.jpg", "unknown class", "'55' at 1,2,4,6", True),
    ]
    assert any("1 annotations are of images that it does not list" in note for note in listing.notes)


REFUSED: dict[str, tuple[CocoSettings, type[Exception], str]] = {
    "images alone": (CocoSettings(train_images=Path("photos")), UsageError, "images without their boxes"),
    "boxes alone": (
        CocoSettings(train_json=Path("own.json")),
        UsageError,
        "--train-json and --train-images go together",
    ),
    "no such file": (
        CocoSettings(val_json=Path("none.json"), val_images=Path("photos")),
        DataError,
        "none.json: no such file",
    ),
    "two numberings": (
        CocoSettings(labelmap=Path("l"), coco_ids=91),
        UsageError,
        "--coco-ids 91 is a label map",
    ),
    "a fraction": (CocoSettings(val_fraction=0.0), UsageError, "--val-fraction 0"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_reason(case: str) -> None:
    own()
    settings, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        list_jobs(settings)


def test_an_archive_without_the_boxes_is_named() -> None:
    write_zips(Path())
    write_zip(Path("annotations_trainval2017.zip"), {"annotations/captions_train2017.json": b"{}"})
    with pytest.raises(
        DataError, match=r"annotations_trainval2017\.zip: has no 'annotations/instances_train2017\.json'"
    ):
        list_jobs(CocoSettings())


def test_a_broken_file_is_named_with_its_place_in_the_archive() -> None:
    write_zips(Path())
    write_zip(
        Path("annotations_trainval2017.zip"), {"annotations/instances_train2017.json": b'{"images": [}'}
    )
    with pytest.raises(DataError, match=r"2017\.zip: annotations/instances_train2017\.json:1:13: is no JSON"):
        list_jobs(CocoSettings())


def test_indexing_and_reading_are_told() -> None:
    write_zips(Path())
    heard: list[str] = []
    list_jobs(CocoSettings(), tell=lambda doing, done, total: heard.append(doing))
    assert list(dict.fromkeys(heard)) == [
        "indexing annotations_trainval2017.zip",
        "reading annotations/instances_train2017.json",
        "indexing train2017.zip",
        "reading annotations/instances_val2017.json",
        "indexing val2017.zip",
    ]
