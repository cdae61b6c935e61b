"""A built detection dataset, record by record, against convert_annoset written by hand."""

from __future__ import annotations

import json
import random
from pathlib import Path

import lmdb
import pytest

from caffeflow.data import pipeline, writer
from caffeflow.data.build import BuildSettings, build
from caffeflow.data.manifest import Manifest, read_manifest
from caffeflow.data.sample import Listing, Omission
from caffeflow.errors import DataError, UsageError
from caffeflow.proto.labelmap import read_label_map
from tests.support import boxed_images
from tests.support.boxed_images import LABEL_MAP, boxed_listing, items
from tests.support.oracles import convert_annoset as oracle


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "COMMIT_RECORDS", 5)
    monkeypatch.setattr(pipeline, "CHUNK", 2)


def records(path: Path) -> list[tuple[bytes, bytes]]:
    environment = lmdb.open(str(path), readonly=True, lock=False)
    with environment, environment.begin() as transaction:
        return list(transaction.cursor())


def made(tmp_path: Path, listing: Listing, **settings: object) -> Manifest:
    return build(listing, BuildSettings(**settings), tmp_path / "dataset", source="voc")


def expected_items(count: int, *, shuffle_seed: int | None = None) -> list[oracle.Item]:
    """Returns the items as convert_annoset would get them: in this order, without flat boxes and broken files."""
    chosen = items(count)
    if shuffle_seed is not None:
        random.Random(shuffle_seed).shuffle(chosen)
    for index, item in enumerate(chosen):
        item.boxes = [box for box in item.boxes if box != boxed_images.FLAT_BOX]
        if item.name in {f"set/{number}.{kind}" for number in range(5, count, 11) for kind in ("jpg", "png")}:
            chosen[index].content = b""
    return chosen


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({}, {"encoding": "jpg"}),
        ({"encode": "png"}, {"encoding": "png"}),
        ({"encode": "raw", "gray": True}, {"gray": True}),
        ({"encode": "raw", "resize": (17, 19)}, {"size": (17, 19)}),
        ({"resize": (17, 19)}, {"size": (17, 19), "encoding": "jpg"}),
        ({"min_dim": 14}, {"min_dim": 14, "encoding": "jpg"}),
        ({"max_dim": 15, "encode": "png"}, {"max_dim": 15, "encoding": "png"}),
        ({"min_dim": 23, "max_dim": 29, "encode": "raw"}, {"min_dim": 23, "max_dim": 29}),
    ],
)
def test_records_are_those_of_convert_annoset(
    settings: dict[str, object], asked: dict[str, object], tmp_path: Path
) -> None:
    made(tmp_path, boxed_listing(tmp_path / "images"), seed=3, **settings)
    train = oracle.convert(expected_items(31, shuffle_seed=3), **asked)
    val = oracle.convert(expected_items(13), **asked)
    assert records(tmp_path / "dataset/train_lmdb") == train
    assert records(tmp_path / "dataset/val_lmdb") == val
    assert (len(train), len(val)) == (28, 12)


def test_the_files_beside_the_records_name_them_in_their_order(tmp_path: Path) -> None:
    made(tmp_path, boxed_listing(tmp_path / "images"), resize=(7, 5))
    folder = tmp_path / "dataset"
    kept = [item for item in expected_items(13) if item.content]
    assert (folder / "test_name_size.txt").read_text().splitlines() == oracle.name_size_lines(kept)
    listed = [f"{item.name} notes/{Path(item.name).stem}.xml" for item in kept]
    assert (folder / "val.txt").read_text().splitlines() == listed
    names = [key.partition(b"_")[2].decode() for key, _ in records(folder / "train_lmdb")]
    assert [line.split()[0] for line in (folder / "train.txt").read_text().splitlines()] == names
    assert read_label_map(folder / "labelmap.prototxt") == LABEL_MAP
    assert not (folder / "labels.txt").exists()


def test_the_manifest_counts_boxes(tmp_path: Path) -> None:
    manifest = made(tmp_path, boxed_listing(tmp_path / "images"))
    assert manifest == read_manifest(tmp_path / "dataset")
    assert (manifest.task, manifest.label_map) == ("detection", "labelmap.prototxt")
    assert (manifest.classes, manifest.class_names) == (4, ("background", "ant", "bee", "cat"))
    assert (manifest.encode, manifest.height, manifest.mean) == ("jpg", None, None)
    kept = [item for item in expected_items(31) if item.content]
    counts = [sum(box[0] == label for item in kept for box in item.boxes) for label in range(4)]
    train = manifest.splits["train"]
    assert train.labels == {label: count for label, count in enumerate(counts) if count}
    assert (train.count, train.boxes) == (28, sum(counts))
    assert train.rejected == {"truncated": 3}
    assert train.rejected_boxes == {"no area": 5}
    assert train.unusual == {
        "boxes reaching outside": 4,
        "without boxes": sum(not item.boxes for item in kept),
    }
    assert [split.name_size for split in manifest.splits.values()] == [None, "test_name_size.txt"]


def test_a_mean_image_is_made_where_sizes_agree(tmp_path: Path) -> None:
    manifest = made(tmp_path, boxed_listing(tmp_path / "images"), resize=(7, 5))
    assert manifest.mean is not None
    assert (manifest.channels, manifest.height, manifest.width) == (3, 7, 5)


def test_everything_left_out_is_listed_with_its_reason(tmp_path: Path) -> None:
    omissions = (
        Omission(split="val", name="set/99.jpg", reason="no annotation", detail="notes/99.xml"),
        Omission(
            split="val", name="set/1.jpg", reason="unknown class", detail="'a\tdog' at 1,2,3,4", is_box=True
        ),
    )
    manifest = made(tmp_path, boxed_listing(tmp_path / "images", omissions=omissions), shuffle=False)
    lines = (tmp_path / "dataset/rejects.txt").read_text().splitlines()
    assert lines[:2] == [
        "val\tset/99.jpg\tno annotation\tnotes/99.xml",
        "val\tset/1.jpg\tunknown class\t'a dog' at 1,2,3,4",
    ]
    assert lines[2:5] == [
        "train\tset/2.png\tbox left out: no area\tlabel 1 at 4,4,4,9",
        "train\tset/3.jpg\tbox kept: reaches outside\tlabel 2 at -3,5,40,60",
        "train\tset/5.png\ttruncated",
    ]
    assert manifest.splits["val"].rejected == {"no annotation": 1, "truncated": 1}
    assert manifest.splits["val"].rejected_boxes == {"no area": 3, "unknown class": 1}


@pytest.mark.parametrize(
    ("omission", "box", "words"),
    [
        (Omission(split="train", name="9.jpg", reason="no annotation"), None, "'9.jpg': no annotation"),
        (None, boxed_images.FLAT_BOX, "label 1 at 4,4,4,9: no area"),
        (None, boxed_images.OUTSIDE_BOX, "label 2 at -3,5,40,60: reaches outside"),
    ],
)
def test_strict_makes_them_errors(
    omission: Omission | None,
    box: tuple[int, float, float, float, float, bool] | None,
    words: str,
    tmp_path: Path,
) -> None:
    item = items(2)[1]
    item.boxes = [] if box is None else [box]
    jobs = boxed_images.write_items(tmp_path, [item])
    listing = Listing(
        splits={"train": jobs}, label_map=LABEL_MAP, omissions=() if omission is None else (omission,)
    )
    with pytest.raises(DataError, match=words):
        made(tmp_path, listing, strict=True)
    assert not (tmp_path / "dataset").exists()
    assert made(tmp_path, listing).splits["train"].count == 1


def test_image_files_cannot_hold_boxes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--backend lmdb"):
        made(tmp_path, boxed_listing(tmp_path / "images"), backend="imagedata")
    assert not (tmp_path / "dataset").exists()


@pytest.mark.parametrize("label", [0, 4])
def test_a_label_without_an_object_is_refused(label: int, tmp_path: Path) -> None:
    item = items(1)[0]
    item.boxes = [(label, 1.0, 2.0, 3.0, 4.0, False)]
    listing = Listing(splits={"train": boxed_images.write_items(tmp_path, [item])}, label_map=LABEL_MAP)
    with pytest.raises(DataError, match=rf"'set/0.jpg': a box has label {label}"):
        made(tmp_path, listing)


def test_datasets_of_before_are_read_as_classification(tmp_path: Path) -> None:
    made(tmp_path, boxed_listing(tmp_path / "images"))
    path = tmp_path / "dataset/dataset.json"
    fields = json.loads(path.read_text())
    del fields["task"], fields["label_map"]
    for split in fields["splits"].values():
        del split["boxes"], split["rejected_boxes"], split["name_size"]
    path.write_text(json.dumps(fields))
    manifest = read_manifest(path.parent)
    assert (manifest.task, manifest.splits["val"].boxes) == ("classification", None)
