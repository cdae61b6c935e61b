"""VOC's layout, official and one's own: from folders, archives and loose pairs of folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from caffeflow.data.sample import Job, Listing, Member
from caffeflow.data.sources.voc import VocSettings, list_jobs
from caffeflow.errors import DataError, UsageError
from caffeflow.proto.labelmap import format_label_map, label_map_of
from tests.support.detection_files import (
    Files,
    below,
    voc_devkit,
    voc_edition,
    voc_object,
    voc_xml,
    write_tar,
    write_tree,
    write_zip,
)

BOX = (2, 3, 11, 13)
TARS = ("VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar", "VOCtrainval_11-May-2012.tar")
VOC0712 = {
    "train": [
        "VOC2007/JPEGImages/000005.jpg",
        "VOC2007/JPEGImages/000007.jpg",
        "VOC2012/JPEGImages/2008_000003.jpg",
        "VOC2012/JPEGImages/2008_000002.jpg",
    ],
    "val": ["VOC2007/JPEGImages/000001.jpg", "VOC2007/JPEGImages/000002.jpg"],
}


def names(listing: Listing) -> dict[str, list[str]]:
    return {split: [job.name for job in jobs] for split, jobs in listing.splits.items()}


def classes(listing: Listing, jobs: Sequence[Job]) -> list[list[str]]:
    assert listing.label_map is not None
    return [
        [listing.label_map.names[box.label] for box in job.annotation.boxes] for job in jobs if job.annotation
    ]


def write_tars(folder: Path) -> list[Path]:
    return [write_tar(folder / name, files) for name, files in zip(TARS, voc_devkit(), strict=True)]


def write_devkit(folder: Path) -> Path:
    for files in voc_devkit():
        write_tree(folder, files)
    return folder / "VOCdevkit"


def mine(root: Path, **sets: Sequence[str]) -> Path:
    """Writes a data set of one's own."""
    images = {"a": [("wheel", BOX), ("axle", BOX)], "b": [("wheel", BOX)], "c": [("bolt", BOX)]}
    return write_tree(root, voc_edition(images, sets))


# -- the official editions ----------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["devkit", "its folder", "its parts", "tars", "zip", "two folders"])
def test_voc0712_is_the_same_from_every_layout(tmp_path: Path, layout: str) -> None:
    trainval, test, later = voc_devkit()
    match layout:
        case "devkit":
            roots = [write_devkit(tmp_path)]
        case "its folder":
            roots = [write_devkit(tmp_path / "x").parent]
        case "its parts":
            devkit = write_devkit(tmp_path)
            roots = [devkit / "VOC2007", devkit / "VOC2012"]
        case "tars":
            roots = write_tars(tmp_path)
        case "zip":
            roots = [write_zip(tmp_path / "all.zip", trainval | test | later, deflated=True)]
        case _:  # trainval and test unpacked to places of their own
            roots = [write_tree(tmp_path / "one", trainval | later), write_tree(tmp_path / "two", test)]
    listing = list_jobs(VocSettings(roots=tuple(roots)))
    assert names(listing) == VOC0712
    assert classes(listing, listing.splits["train"]) == [["dog", "cat"], ["dog"], ["dog"], ["sofa"]]
    expected = {
        name.removeprefix("VOCdevkit/"): content for name, content in (trainval | test | later).items()
    }
    for job in (*listing.splits["train"], *listing.splits["val"]):
        assert job.location.read() == expected[job.name]
        assert job.annotation is not None
        assert job.annotation.file == job.name.replace("JPEGImages", "Annotations").replace(".jpg", ".xml")
        assert (job.annotation.height, job.annotation.width) == (17, 23)
    assert listing.notes == ()
    assert listing.omissions == ()


def test_the_published_order_of_labels_is_kept_for_a_part_of_voc(tmp_path: Path) -> None:
    listing = list_jobs(VocSettings(roots=(write_devkit(tmp_path),)))
    assert listing.label_map is not None
    assert listing.label_map.num_classes == 21
    found = [listing.label_map.label_of(name) for name in ("aeroplane", "cat", "person", "tvmonitor")]
    assert found == [1, 8, 15, 20]


def test_archives_and_folders_are_found_without_being_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_tars(Path("data/raw"))
    listing = list_jobs(VocSettings())
    assert names(listing) == VOC0712
    assert {type(job.location) for job in listing.splits["val"]} == {Member}

    elsewhere = write_devkit(tmp_path / "elsewhere")
    monkeypatch.setenv("CAFFEFLOW_DATA", str(elsewhere.parent))
    for path in Path("data/raw").iterdir():
        path.unlink()
    assert names(list_jobs(VocSettings())) == VOC0712


def test_an_unpacked_part_is_completed_by_an_archive() -> None:
    trainval, _, _ = voc_devkit()
    write_tree(Path("data/raw"), trainval)
    write_tars(Path("data/raw"))
    assert names(list_jobs(VocSettings())) == VOC0712


def test_what_is_not_here_is_gone_without_and_told() -> None:
    for path in write_tars(Path())[1:]:
        path.unlink()
    listing = list_jobs(VocSettings())
    assert names(listing) == {"train": VOC0712["train"][:1], "val": VOC0712["train"][1:2]}
    assert [note.split(" ")[0] for note in listing.notes] == list(TARS[1:])


def test_nothing_there_says_what_to_get() -> None:
    with pytest.raises(DataError) as caught:
        list_jobs(VocSettings())
    for words in (
        "VOCtrainval_06-Nov-2007.tar  460,032,000 bytes  md5 c52e279531787c972589f7e41ab4ae64",
        "VOCtest_06-Nov-2007.tar  451,020,800 bytes  md5 b6e924de25625d8de591ea690078ad9f",
        "VOCtrainval_11-May-2012.tar  1,999,639,040 bytes  md5 6cd6e144f989b92b3379bac3b3de84fd",
        "host.robots.ox.ac.uk",
        "./, data/raw/",
    ):
        assert words in str(caught.value)


# -- one's own ----------------------------------------------------------------------------------------


def test_own_classes_are_sorted_and_an_own_split_is_kept(tmp_path: Path) -> None:
    root = mine(tmp_path / "parts", train=["b", "a"], val=["c"])
    listing = list_jobs(VocSettings(roots=(root,)))
    assert names(listing) == {
        "train": ["parts/JPEGImages/b.jpg", "parts/JPEGImages/a.jpg"],
        "val": ["parts/JPEGImages/c.jpg"],
    }
    assert listing.label_map == label_map_of(["axle", "bolt", "wheel"])
    assert classes(listing, listing.splits["train"]) == [["wheel"], ["wheel", "axle"]]


def test_without_sets_all_images_train_or_a_share_is_held_back(tmp_path: Path) -> None:
    root = mine(tmp_path / "parts")
    listing = list_jobs(VocSettings(roots=(root,)))
    assert {split: len(jobs) for split, jobs in listing.splits.items()} == {"train": 3}
    assert any("--val-fraction" in note for note in listing.notes)
    listing = list_jobs(VocSettings(roots=(root,), val_fraction=0.3, seed=5))
    assert {split: len(jobs) for split, jobs in listing.splits.items()} == {"train": 2, "val": 1}
    with pytest.raises(UsageError, match="--val-fraction: there are image sets for a val split"):
        list_jobs(VocSettings(roots=(mine(tmp_path / "q", train=["a"], val=["b"]),), val_fraction=0.3))


def test_several_roots_of_one_name_are_told_apart(tmp_path: Path) -> None:
    roots = (mine(tmp_path / "one/parts", train=["a"]), mine(tmp_path / "two/parts", train=["b"]))
    assert names(list_jobs(VocSettings(roots=roots)))["train"] == [
        "parts/JPEGImages/a.jpg",
        "parts-2/JPEGImages/b.jpg",
    ]


def test_loose_folders_pair_by_name(tmp_path: Path) -> None:
    files = voc_edition({"a": [("wheel", BOX)], "b": [("bolt", BOX)]}, {})
    write_tree(
        tmp_path,
        {name.replace("JPEGImages", "photos").replace("Annotations", "xml"): c for name, c in files.items()},
    )
    settings = VocSettings(images=tmp_path / "photos", annotations=tmp_path / "xml")
    listing = list_jobs(settings)
    assert names(listing) == {"train": ["photos/a.jpg", "photos/b.jpg"]}
    assert listing.splits["train"][1].annotation.file == "xml/b.xml"
    assert listing.splits["train"][1].location.read() == files["JPEGImages/b.jpg"]
    assert set(names(list_jobs(replace(settings, val_fraction=0.5)))) == {"train", "val"}


def test_images_and_annotations_may_lie_in_one_folder(tmp_path: Path) -> None:
    files = voc_edition({"a": [("wheel", BOX)]}, {})
    write_tree(tmp_path / "all", {name.partition("/")[2]: content for name, content in files.items()})
    listing = list_jobs(VocSettings(images=tmp_path / "all", annotations=tmp_path / "all"))
    assert names(listing) == {"train": ["all/a.jpg"]}


@pytest.mark.parametrize("kind", ["folder", "zip"])
@pytest.mark.parametrize("val", ["val", "valid", "test"])
def test_folders_called_train_and_val_are_splits(tmp_path: Path, kind: str, val: str) -> None:
    files: Files = {"README.txt": b"exported"}
    for split, stems in (("train", "ab"), (val, "c"), ("empty", "")):
        one = voc_edition({stem: [("wheel", BOX)] for stem in stems}, {})
        files |= {f"{split}/{name.partition('/')[2]}": content for name, content in one.items()}
    root = (
        write_tree(tmp_path / "set", files)
        if kind == "folder"
        else write_zip(tmp_path / "set.zip", below("export", files))
    )
    listing = list_jobs(VocSettings(roots=(root,)))
    assert names(listing) == {"train": ["train/a.jpg", "train/b.jpg"], "val": [f"{val}/c.jpg"]}
    assert listing.splits["val"][0].annotation.file == f"{val}/c.xml"
    assert listing.splits["val"][0].location.read() == files[f"{val}/c.jpg"]
    with pytest.raises(UsageError, match="--val-fraction"):
        list_jobs(VocSettings(roots=(root,), val_fraction=0.5))


def test_an_image_is_found_by_what_the_annotation_calls_it(tmp_path: Path) -> None:
    xml = (
        b"<annotation><filename>photo 7.jpg</filename>"
        + voc_xml([voc_object("wheel", BOX)])[len("<annotation>\n") :]
    )
    write_tree(tmp_path / "set", {"JPEGImages/photo 7.jpg": b"x", "Annotations/n1.xml": xml})
    assert names(list_jobs(VocSettings(roots=(tmp_path / "set",)))) == {
        "train": ["set/JPEGImages/photo 7.jpg"]
    }


def test_pictures_need_not_be_jpegs_but_a_jpeg_comes_first(tmp_path: Path) -> None:
    xml = voc_xml([voc_object("wheel", BOX)])
    files = {
        "JPEGImages/a.png": b"1",
        "JPEGImages/b.jpg": b"2",
        "JPEGImages/b.bmp": b"3",
        "JPEGImages/c.txt": b"4",
    }
    write_tree(tmp_path / "set", files | {f"Annotations/{stem}.xml": xml for stem in "abc"})
    listing = list_jobs(VocSettings(roots=(tmp_path / "set",)))
    assert names(listing) == {"train": ["set/JPEGImages/a.png", "set/JPEGImages/b.jpg"]}
    assert [(o.name, o.reason) for o in listing.omissions] == [("set/JPEGImages/c.jpg", "missing")]


def test_a_given_label_map_rules(tmp_path: Path) -> None:
    path = tmp_path / "labelmap.prototxt"
    path.write_text(format_label_map(label_map_of(["wheel", "bolt"])))
    listing = list_jobs(VocSettings(roots=(mine(tmp_path / "parts"),), labelmap=path))
    assert classes(listing, listing.splits["train"]) == [["wheel"], ["wheel"], ["bolt"]]
    assert [(o.name, o.detail) for o in listing.omissions] == [
        ("parts/JPEGImages/a.jpg", "'axle' at 2,3,11,13")
    ]


# -- faults -------------------------------------------------------------------------------------------


def test_faults_are_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    stems = ["good", "broken", "lost", "silent", "odd"]
    root = write_tree(
        tmp_path / "set",
        voc_edition(
            {stem: [("wheel", BOX)] for stem in stems}, {"train": [*stems, "nowhere"], "val": ["good"]}
        ),
    )
    (root / "Annotations/broken.xml").write_bytes(b"<annotation>\n<object>")
    (root / "JPEGImages/lost.jpg").unlink()
    (root / "Annotations/silent.xml").unlink()
    odd = [
        voc_object("wheel", ("2.5", 3, 11, 13)),
        voc_object("wheel", (2, 3, "x", 13)),
        voc_object("wheel", BOX, difficult=1, order=("name", "bndbox", "difficult")),
    ]
    (root / "Annotations/odd.xml").write_bytes(voc_xml(odd, None))
    listing = list_jobs(VocSettings(roots=(root,)))
    assert names(listing)["train"] == ["set/JPEGImages/good.jpg", "set/JPEGImages/odd.jpg"]
    told = {o.name.removeprefix("set/JPEGImages/"): (o.reason, o.is_box, o.detail) for o in listing.omissions}
    assert told == {
        "broken.jpg": (
            "bad annotation",
            False,
            f"{root}/Annotations/broken.xml:2:9: is no XML (no element found)",
        ),
        "lost.jpg": ("missing", False, "no image for set/Annotations/lost.xml"),
        "silent.jpg": ("no annotation", False, "expected set/Annotations/silent.xml"),
        "nowhere.jpg": ("no annotation", False, "expected set/Annotations/nowhere.xml"),
        "odd.jpg": ("no box", True, "'wheel' in line 9: xmax is 'x'"),
    }
    boxes = listing.splits["train"][1].annotation.boxes
    assert [(box.xmin, box.is_difficult) for box in boxes] == [(2.5, False), (2, True)]
    notes = "\n".join(listing.notes)
    assert "1 boxes have corners between pixels" in notes
    assert "1 objects say 'difficult' behind their box" in notes
    assert "1 annotations do not say the image's size" in notes
    assert "1 images are in train and in val" in notes


def test_a_broken_member_is_named_with_its_archive(tmp_path: Path) -> None:
    files = voc_edition({"a": [("wheel", BOX)], "b": [("wheel", BOX)]}, {}) | {"Annotations/b.xml": b"<x/>"}
    path = write_tar(tmp_path / "parts.tar", below("parts", files))
    listing = list_jobs(VocSettings(roots=(path,)))
    assert names(listing) == {"train": ["parts/JPEGImages/a.jpg"]}
    assert listing.omissions[0].detail.startswith(f"{path}: parts/Annotations/b.xml:1: is no annotation")


REFUSED: dict[str, tuple[VocSettings, type[Exception], str]] = {
    "nowhere": (VocSettings(roots=(Path("nowhere"),)), DataError, "nowhere: no such folder or archive"),
    "no layout": (
        VocSettings(roots=(Path("plain"),)),
        DataError,
        "plain: has nothing in VOC's layout; expected folders",
    ),
    "half a pair": (VocSettings(images=Path("plain")), UsageError, "--images goes with --annotations"),
    "the other half": (
        VocSettings(annotations=Path("plain")),
        UsageError,
        "--annotations goes with --images",
    ),
    "both ways": (
        VocSettings(roots=(Path("plain"),), images=Path("plain"), annotations=Path("plain")),
        UsageError,
        "in place of ROOT",
    ),
    "no annotations": (
        VocSettings(images=Path("plain"), annotations=Path("plain")),
        DataError,
        r"plain: has no \.xml file",
    ),
    "no such pair": (VocSettings(images=Path("a"), annotations=Path("b")), DataError, "a: no such folder"),
    "fraction": (VocSettings(val_fraction=2.0), UsageError, "--val-fraction 2"),
    "no boxes": (VocSettings(roots=(Path("empty"),)), DataError, "no annotation has a box"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_a_reason(case: str) -> None:
    write_tree(Path("plain"), {"a.txt": b""})
    write_tree(Path("empty"), voc_edition({"a": []}, {}))
    settings, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        list_jobs(settings)


def test_long_reading_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caffeflow.data.sources.voc._TELL_EVERY", 2)
    heard: list[tuple[str, int, int | None]] = []
    list_jobs(VocSettings(roots=(mine(tmp_path / "parts"),)), tell=lambda *words: heard.append(words))
    assert len(heard) == 1
    assert heard[0][0] == "reading annotations"
    assert heard[0][1] > 0
