"""`caffeflow dataset show` and `verify` of images with boxes: counts, drawings, and what is broken."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.data.build import BuildSettings, build
from caffeflow.data.sample import Listing
from tests.support.boxed_images import LABEL_MAP, boxed_listing, write_items
from tests.support.oracles.convert_annoset import Item, annotated_datum, datum
from tests.support.records import write_lmdb

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    build(boxed_listing(tmp_path / "images"), BuildSettings(), tmp_path / "insects", source="voc")
    return tmp_path / "insects"


def change_record(folder: Path, change: Callable[[bytes], bytes], *, number: int = 0) -> None:
    with lmdb.open(str(folder)) as environment, environment.begin(write=True) as transaction:
        key, value = list(transaction.cursor())[number]
        transaction.put(key, change(value))


def check_fails(dataset: Path, capsys: Capture, *words: str) -> None:
    assert run(["dataset", "verify", str(dataset)]) == 1
    out = capsys.readouterr().out
    for word in words:
        assert word in out, word


def test_a_whole_dataset_verifies(dataset: Path, capsys: Capture) -> None:
    assert run(["dataset", "verify", str(dataset)]) == 0
    assert "40 records, all as they were written" in capsys.readouterr().out


def test_show_counts_boxes(dataset: Path, capsys: Capture) -> None:
    assert run(["dataset", "show", str(dataset)]) == 0
    out = capsys.readouterr().out
    for words in (
        "jpg, 3x?x?, 3 classes of objects, beside the background",
        "4 boxes reaching outside",
        "5 no area",
        "as share of the image's",
    ):
        assert words in out, words
    rows = [line.split() for line in out.splitlines()]
    manifest = json.loads((dataset / "dataset.json").read_text())
    train, val = (manifest["splits"][name] for name in ("train", "val"))
    for label, name in ((1, "ant"), (2, "bee"), (3, "cat")):
        counts = [str(split["labels"][str(label)]) for split in (train, val)]
        assert [str(label), name, *counts] in rows
    mean = f"{train['boxes'] / train['count']:.1f}"
    assert any(row[:3] == ["train", str(train["boxes"]), mean] for row in rows)
    assert not any(row[:2] == ["0", "background"] for row in rows)


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((9, 1.0, 1.0, 5.0, 5.0, False), "label 9 is out of range: expected 0 to 3"),
        ((0, 1.0, 1.0, 5.0, 5.0, False), "label 0 of 1 boxes is not in the label map"),
        (
            (2, 5.0, 1.0, 5.0, 5.0, False),
            "box of label 2 at 0.384615, 0.0909091, 0.384615, 0.454545: no area",
        ),
        ((2, 5.0, 1.0, 99.0, 5.0, False), "3 boxes reach outside their images; the manifest says 2"),
        ((2, 5.0, 1.0, np.nan, 5.0, False), "not a number"),
    ],
)
def test_a_box_that_was_changed_is_found(
    dataset: Path, capsys: Capture, box: tuple[int, float, float, float, float, bool], words: str
) -> None:
    image = np.zeros((11, 13, 3), np.uint8)
    changed = annotated_datum(datum(image, None), Item("0.jpg", b"", [box]), 11, 13)
    change_record(dataset / "val_lmdb", lambda _: changed)
    check_fails(dataset, capsys, "val: ", words)


def test_a_bare_datum_among_them_is_found(dataset: Path, capsys: Capture) -> None:
    change_record(dataset / "train_lmdb", lambda _: datum(np.zeros((11, 13, 3), np.uint8), None), number=3)
    check_fails(dataset, capsys, "is not an AnnotatedDatum")


def test_a_record_of_a_label_alone_is_found(dataset: Path, capsys: Capture) -> None:
    change_record(dataset / "val_lmdb", lambda value: value.partition(b"\x10\x00\x1a")[0])
    changed = annotated_datum(datum(np.zeros((11, 13, 3), np.uint8), None), Item("0.jpg", b""), 11, 13)
    change_record(dataset / "val_lmdb", lambda _: changed[:-2])
    check_fails(dataset, capsys, "val: 11 records are of type BBOX; expected all 12")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:-1], "test_name_size.txt: has 11 lines; expected one for each of 12 records"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], "test_name_size.txt:1: '1 12 14'"),
        (lambda lines: ["0 11", *lines[1:]], "test_name_size.txt:1: '0 11': expected name, height and width"),
        (lambda lines: ["0 11 0", *lines[1:]], "test_name_size.txt:1: '0 11 0'"),
        (None, "test_name_size.txt: cannot be read: No such file"),
    ],
)
def test_lines_that_do_not_match_the_records_are_found(
    dataset: Path, capsys: Capture, change: Callable[[list[str]], list[str]] | None, words: str
) -> None:
    path = dataset / "test_name_size.txt"
    lines = path.read_text().splitlines()
    if change is None:
        path.unlink()
    else:
        path.write_text("".join(f"{line}\n" for line in change(lines)))
    check_fails(dataset, capsys, words)


def test_a_label_map_of_other_names_is_found(dataset: Path, capsys: Capture) -> None:
    path = dataset / "labelmap.prototxt"
    path.write_text(path.read_text().replace("bee", "wasp"))
    check_fails(dataset, capsys, "labelmap.prototxt: does not name the classes")
    path.unlink()
    check_fails(dataset, capsys, "labelmap.prototxt: label map cannot be read")


def test_a_bare_lmdb_of_boxes_is_counted(tmp_path: Path, capsys: Capture) -> None:
    image = np.zeros((11, 13, 3), np.uint8)
    boxes = [(5, 1.0, 2.0, 7.0, 9.0, True), (2, -9.0, 1.0, 12.0, 5.0, False), (5, 3.0, 3.0, 3.0, 3.0, False)]
    values = [
        annotated_datum(datum(image, None), Item("", b"", chosen), 11, 13)
        for chosen in (boxes, boxes[:1], [])
    ]
    write_lmdb(tmp_path / "voc_lmdb", values)
    assert run(["dataset", "show", str(tmp_path / "voc_lmdb"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["labels"] == {"2": 1, "5": 3}
    counted = shown["boxes"]
    assert [counted[name] for name in ("count", "images_without", "difficult", "outside")] == [4, 1, 2, 1]
    assert counted["sides"] == pytest.approx([0.0, np.sqrt(21 * 4 / 143)])
    assert len(counted["wrong"]) == 1
    assert run(["dataset", "show", str(tmp_path / "voc_lmdb")]) == 0
    out = capsys.readouterr().out
    for words in (
        "boxes: 4, 1.3 an image, 2 difficult, 1 outside",
        "0.0 % to 76.6 %",
        "00000000_0.png: box of label 5",
    ):
        assert words in out, words


def test_boxes_are_drawn_where_they_are(tmp_path: Path) -> None:
    item = Item(
        "black.png",
        cv2.imencode(".png", np.zeros((60, 80, 3), np.uint8))[1].tobytes(),
        [(1, 20.0, 30.0, 60.0, 50.0, False), (3, -20.0, -10.0, 10.0, 15.0, True)],
    )
    listing = Listing(splits={"train": write_items(tmp_path, [item])}, label_map=LABEL_MAP)
    build(listing, BuildSettings(encode="png"), tmp_path / "set", source="voc")
    sheet = tmp_path / "sheet.png"
    assert run(["dataset", "show", str(tmp_path / "set"), "--sheet", str(sheet)]) == 0
    picture = cv2.imread(str(sheet))[6 + 40 : 6 + 280, 6 : 6 + 320]  # 240x320: four times as large
    assert not (picture == 255).all(axis=2).any()
    lit = picture.any(axis=2)
    assert lit[121, 85:235].all()
    assert lit[199, 85:235].all()
    assert lit[125:195, 81].all()
    assert lit[125:195, 239].all()
    assert not lit[125:195, 85:235].any()
    assert lit[2:58, 39].all()
    assert lit[59, 2:38].all()
    assert not lit[20:55, 2:36].any()
    first, second = picture[199, 200], picture[59, 20]
    assert (first != second).any()
