"""Which image sets become train and val, with and without a word from the user."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.data.file_sets import FolderFiles
from caffeflow.data.voc_devkit import Edition
from caffeflow.data.voc_sets import choose_parts
from caffeflow.errors import UsageError
from tests.support.detection_files import Files, write_tree


def edition(root: Path, name: str, *sets: str, without_boxes: tuple[str, ...] = ()) -> Edition:
    """Writes an edition whose sets have one image each, called like the set."""
    files: Files = {f"ImageSets/Main/{each}.txt": f"{each}\n".encode() for each in sets}
    files |= {f"Annotations/{each}.xml": b"" for each in sets if each not in without_boxes}
    files |= {"JPEGImages/x.jpg": b"", "Annotations/loose.xml": b""}
    return Edition(name, FolderFiles(write_tree(root / name, files)))


def chosen(editions: list[Edition], train: str = "", val: str = "") -> tuple[list[str], list[str]]:
    parts = choose_parts(
        editions, train_sets=train.split(",") if train else (), val_sets=val.split(",") if val else ()
    )
    return tuple(
        [f"{part.edition.name}:{part.set_name}" for part in parts if part.split == split]
        for split in ("train", "val")
    )  # type: ignore[return-value]


ALL = ("train", "val", "trainval", "test")
DEFAULTS: dict[str, tuple[list[tuple[str, tuple[str, ...], tuple[str, ...]]], list[str], list[str]]] = {
    # what there is (name, sets, sets without boxes) -> train, val
    "VOC0712 as in SSD": (
        [("VOC2007", ALL, ()), ("VOC2012", ("train", "val", "trainval"), ())],
        ["VOC2007:trainval", "VOC2012:trainval"],
        ["VOC2007:test"],
    ),
    "VOC2012 alone": ([("VOC2012", ("train", "val", "trainval"), ())], ["VOC2012:train"], ["VOC2012:val"]),
    "a test set without boxes": ([("VOC2012", ALL, ("test",))], ["VOC2012:train"], ["VOC2012:val"]),
    "test beside train and val": (
        [("mine", ("train", "val", "test"), ())],
        ["mine:train", "mine:val"],
        ["mine:test"],
    ),
    "trainval alone": ([("mine", ("trainval",), ())], ["mine:trainval"], []),
    "no sets": ([("mine", (), ())], ["mine:*"], []),
    "one without sets learns": (
        [("mine", (), ()), ("VOC2007", ALL, ())],
        ["mine:*", "VOC2007:trainval"],
        ["VOC2007:test"],
    ),
    "val beside trainval": ([("mine", ("trainval", "val"), ())], ["mine:trainval"], ["mine:val"]),
}


@pytest.mark.parametrize("case", DEFAULTS)
def test_the_defaults(tmp_path: Path, case: str) -> None:
    there, train, val = DEFAULTS[case]
    editions = [edition(tmp_path, name, *sets, without_boxes=without) for name, sets, without in there]
    assert chosen(editions) == (train, val)


def test_sets_are_named_with_and_without_the_edition(tmp_path: Path) -> None:
    editions = [edition(tmp_path, "VOC2007", *ALL), edition(tmp_path, "VOC2012", "train", "val", "trainval")]
    assert chosen(editions, train="2007:trainval,2012:train", val="VOC2012:val") == (
        ["VOC2007:trainval", "VOC2012:train"],
        ["VOC2012:val"],
    )
    assert chosen(editions, train="train") == (["VOC2007:train", "VOC2012:train"], [])
    assert chosen(editions, val="2007:val") == (["VOC2007:train", "VOC2012:train"], ["VOC2007:val"])
    assert chosen(editions, val="2007:test") == (["VOC2007:trainval", "VOC2012:trainval"], ["VOC2007:test"])


@pytest.mark.parametrize("spec", ["2012:trainval", "2007:minival", "minival", "VOC2007:"])
def test_a_set_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path, spec: str) -> None:
    with pytest.raises(UsageError, match=rf"--val-sets {spec}: .* there are: VOC2007:test, .*VOC2007:val"):
        chosen([edition(tmp_path, "VOC2007", *ALL)], train="train", val=spec)


def test_sets_of_unusual_names_must_be_chosen(tmp_path: Path) -> None:
    editions = [edition(tmp_path, "mine", "learn", "learn_train", "check")]
    with pytest.raises(UsageError, match=r"choose with --train-sets from: mine:check, mine:learn$"):
        chosen(editions)
    assert chosen(editions, train="learn", val="check") == (["mine:learn"], ["mine:check"])


def test_lines_may_have_suffixes_and_flags(tmp_path: Path) -> None:
    mine = edition(tmp_path, "mine", "train")
    text = "a.jpg\n\nb  1\nc -1\nd  0\ne.v2\nf.PNG\n"
    (tmp_path / "mine/ImageSets/Main/train.txt").write_text(text)
    assert list(mine.stems("train")) == ["a", "b", "d", "e.v2", "f"]
