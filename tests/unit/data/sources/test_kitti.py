"""KITTI from folders or archives: classes kept and merged, a seeded split and its lists."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from caffeflow.data.kitti_files import has_image_sets, image_sets, write_image_sets
from caffeflow.data.sample import Listing
from caffeflow.data.sources.kitti import KittiSettings, list_jobs, split_of
from caffeflow.errors import DataError, UsageError
from caffeflow.proto.labelmap import format_label_map, label_map_of
from tests.support.detection_files import kitti, kitti_line, write_tree, write_zip

NUMBERS = [f"{number:06}" for number in range(10)]
LINES = [kitti_line("Car"), kitti_line("DontCare", (-1, -1, -1, -1)), kitti_line("Pedestrian", (1, 2, 3, 4))]
ALL = replace(KittiSettings(), keep_empty=True)


def write(root: Path, labels: dict[str, list[str]] | None = None) -> Path:
    for files in kitti(labels or dict.fromkeys(NUMBERS, LINES)):
        write_tree(root, files)
    return root


def names(listing: Listing) -> dict[str, list[str]]:
    return {split: [job.name for job in jobs] for split, jobs in listing.splits.items()}


def classes(listing: Listing) -> dict[str, list[str]]:
    """Returns the classes of each image's boxes."""
    assert listing.label_map is not None
    return {
        Path(job.name).stem: [listing.label_map.names[box.label] for box in job.annotation.boxes]
        for jobs in listing.splits.values()
        for job in jobs
    }


@pytest.mark.parametrize("layout", ["training", "inside", "object", "zips", "deflated"])
def test_the_layouts_are_found_and_say_the_same(layout: str) -> None:
    images, labels = kitti(dict.fromkeys(NUMBERS, LINES))
    settings = ALL
    match layout:
        case "training":
            write(Path("data/raw"))
        case "inside":
            settings = replace(ALL, root=write(Path("here")) / "training")
        case "object":
            write(Path("KITTI/object"))
        case _:
            write_zip(Path("data_object_image_2.zip"), images, deflated=layout == "deflated")
            write_zip(Path("data_object_label_2.zip"), labels, deflated=True)
    listing = list_jobs(settings)
    listed = [name for split in names(listing).values() for name in split]
    assert sorted(listed) == [f"training/image_2/{number}.png" for number in NUMBERS]
    assert {split: len(jobs) for split, jobs in listing.splits.items()} == {"train": 8, "val": 2}
    for job in (*listing.splits["train"], *listing.splits["val"]):
        assert job.location.read() == images[job.name]
        assert job.annotation is not None
        assert (job.annotation.height, job.annotation.width) == (0, 0)  # the image's own
        assert job.annotation.file == job.name.replace("image_2", "label_2").replace(".png", ".txt")
        assert [(box.label, box.xmin, box.ymax) for box in job.annotation.boxes] == [
            (1, 3.25, 13.0),
            (2, 1, 4),
        ]
    assert listing.label_map == label_map_of(["Car", "Pedestrian", "Cyclist"])
    assert listing.notes == ("10 DontCare regions are ignored",)


def test_the_split_is_the_seeds_and_has_lists() -> None:
    write(Path())
    first, again, other = (list_jobs(replace(ALL, seed=seed, val_fraction=0.5)) for seed in (1, 1, 2))
    assert names(first) == names(again) != names(other)
    _, split = split_of(replace(ALL, seed=1, val_fraction=0.5))
    lists = image_sets(split)
    assert set(lists) == {"trainval.txt", "train.txt", "val.txt"}
    assert lists["trainval.txt"].split() == NUMBERS
    for split_name in ("train", "val"):
        expected = [Path(name).stem for name in names(first)[split_name]]
        assert lists[f"{split_name}.txt"].split() == expected
        assert len(expected) == 5


def test_lists_in_the_root_decide_unless_a_fraction_is_given() -> None:
    write(Path())
    write_tree(Path("ImageSets"), {"train.txt": b"000007\n000002\n", "val.txt": b"000003\n"})
    listing = list_jobs(ALL)
    assert names(listing) == {
        "train": ["training/image_2/000007.png", "training/image_2/000002.png"],
        "val": ["training/image_2/000003.png"],
    }
    assert len(list_jobs(replace(ALL, val_fraction=0.3)).splits["val"]) == 3


def test_lists_are_written_once_and_not_over_others() -> None:
    write_image_sets(Path(), {"train": ["1"], "val": ["0"]})
    assert has_image_sets(Path())
    assert Path("ImageSets/trainval.txt").read_text() == "0\n1\n"
    write_image_sets(Path(), {"train": ["1"], "val": ["0"]})
    with pytest.raises(UsageError, match=r"ImageSets/train\.txt: holds another split; --force"):
        write_image_sets(Path(), {"train": ["0"], "val": ["1"]})
    write_image_sets(Path(), {"train": ["0"], "val": ["1"]}, force=True)
    assert Path("ImageSets/val.txt").read_text() == "1\n"


MERGES: dict[str, tuple[KittiSettings, list[str]]] = {
    "default": (ALL, ["Car", "Car", "Pedestrian", "Pedestrian", "Cyclist"]),
    "no merges": (replace(ALL, merge_classes=()), ["Car", "Pedestrian", "Cyclist"]),
    "own merges": (
        replace(ALL, merge_classes=("Truck=Car", "Tram=Car")),
        ["Car", "Car", "Pedestrian", "Cyclist"],
    ),
    "cars alone": (replace(ALL, classes=("Car",)), ["Car", "Car"]),
    "van for itself": (replace(ALL, classes=("Car", "Van")), ["Car", "Van"]),
    "other order": (replace(ALL, classes=("Cyclist", "Car"), merge_classes=()), ["Car", "Cyclist"]),
}


@pytest.mark.parametrize("case", MERGES)
def test_classes_are_kept_and_merged(case: str) -> None:
    present = ["Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Misc"]
    labels = {"000000": [kitti_line(name) for name in present], "000001": LINES}
    write(Path(), labels)
    settings, expected = MERGES[case]
    listing = list_jobs(settings)
    assert classes(listing)["000000"] == expected
    assert listing.omissions == ()
    if case == "no merges":
        assert "classes that are not kept: Van 1, Truck 1, Person_sitting 1, Misc 1" in listing.notes


def test_a_label_map_decides_the_classes_and_their_labels() -> None:
    write(Path(), {"000000": [kitti_line("Truck"), kitti_line("Car")], "000001": [kitti_line("Truck")]})
    Path("l").write_text(format_label_map(label_map_of(["Tram", "Truck"])))
    listing = list_jobs(replace(ALL, labelmap=Path("l")))
    assert classes(listing) == {"000000": ["Truck"], "000001": ["Truck"]}
    assert {
        box.label for jobs in listing.splits.values() for job in jobs for box in job.annotation.boxes
    } == {2}


def test_faults_are_listed_and_the_rest_goes_on() -> None:
    write(Path())
    Path("training/label_2/000003.txt").write_text("Car 0 0\n")
    Path("training/label_2/000004.txt").unlink()
    Path("training/image_2/000005.png").unlink()
    listing = list_jobs(ALL)
    assert len(classes(listing)) == 7
    told = {o.name: (o.reason, o.detail) for o in listing.omissions}
    assert told == {
        "training/image_2/000003.png": (
            "bad annotation",
            f"{Path('training/label_2/000003.txt')}:1: has 3 words, expected 15: a type and 14 numbers; is it a label of KITTI?",
        ),
        "training/image_2/000004.png": ("no annotation", "expected training/label_2/000004.txt"),
        "training/image_2/000005.png": ("missing", "no image for training/label_2/000005.txt"),
    }


def test_nothing_there_says_what_to_get() -> None:
    with pytest.raises(DataError) as caught:
        list_jobs(KittiSettings())
    for words in (
        "data_object_image_2.zip  12,569,945,557 bytes  (left",
        "data_object_label_2.zip  5,601,213 bytes",
        "cvlibs.net",
    ):
        assert words in str(caught.value)
    _, labels = kitti({"000000": LINES})
    write_zip(Path("data_object_label_2.zip"), labels)
    with pytest.raises(DataError) as caught:
        list_jobs(KittiSettings())
    assert "image_2.zip" in str(caught.value)
    assert "label_2.zip" not in str(caught.value)


REFUSED: dict[str, tuple[KittiSettings, type[Exception], str]] = {
    "no such root": (KittiSettings(root=Path("nowhere")), DataError, "nowhere: no such folder"),
    "a class that never occurs": (
        KittiSettings(classes=("Boat",)),
        DataError,
        "no label is Boat; there are: Car, DontCare, Ped",
    ),
    "a merge into nothing": (
        KittiSettings(merge_classes=("Van=Bus",)),
        UsageError,
        "--merge-class Van=Bus: 'Bus' is not kept; kept are Car, Pedestrian, Cyclist",
    ),
    "no merge": (
        KittiSettings(merge_classes=("Van",)),
        UsageError,
        "--merge-class Van: expected CLASS=OTHER",
    ),
    "a fraction": (KittiSettings(val_fraction=1.0), UsageError, "--val-fraction 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_reason(case: str) -> None:
    write(Path())
    settings, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        list_jobs(settings)
