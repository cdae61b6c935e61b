"""`caffeflow dataset show` and `verify` as typed: datasets, bare LMDBs and lists, and what is broken."""

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
from tests.support.mixed_images import mixed_listing
from tests.support.records import random_planes, write_image_list, write_raw_lmdb

Capture = pytest.CaptureFixture[str]


@pytest.fixture(params=["lmdb", "imagedata"])
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    listing = mixed_listing(tmp_path / "images")
    settings = BuildSettings(backend=request.param, encode="png", resize=(7, 5))
    build(listing, settings, tmp_path / "insects", source="folder")
    return tmp_path / "insects"


def edit_manifest(folder: Path, edit: Callable[[dict], None]) -> None:
    path = folder / "dataset.json"
    fields = json.loads(path.read_text())
    edit(fields)
    path.write_text(json.dumps(fields))


def test_show_says_what_is_in_a_dataset(dataset: Path, capsys: Capture) -> None:
    assert run(["dataset", "show", str(dataset)]) == 0
    out = capsys.readouterr().out
    for words in (
        "3x7x5",
        "3 classes",
        "train",
        "39",
        "4 truncated",
        "4 empty",
        "val",
        "bee",
        "mean: B ",
        "sha256:",
    ):
        assert words in out, words
    assert "resize" in out


def test_show_gives_the_manifest_as_json(dataset: Path, capsys: Capture) -> None:
    assert run(["dataset", "show", str(dataset), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["path"] == str(dataset)
    assert shown["splits"]["train"]["count"] == 39
    assert shown["height"] == 7


def test_a_sheet_shows_records_above_their_labels(dataset: Path, tmp_path: Path, capsys: Capture) -> None:
    sheet = tmp_path / "sheet.png"
    assert (
        run(["dataset", "show", str(dataset), "--sheet", str(sheet), "--count", "9", "--split", "val"]) == 0
    )
    picture = cv2.imread(str(sheet))
    assert picture.shape == (3 * 117 + 6, 3 * 102 + 6, 3)
    caption = picture[6 + 96 : 6 + 96 + 15, 6:102]
    assert caption.min() < 80
    assert (picture[:6] == 255).all()
    assert run(["dataset", "show", str(dataset), "--sheet", str(sheet)]) == 2
    assert "--force" in capsys.readouterr().err
    assert run(["dataset", "show", str(dataset), "--sheet", str(sheet), "--force"]) == 0
    assert run(["dataset", "show", str(dataset), "--sheet", str(sheet), "--force", "--split", "test"]) == 2
    assert "train, val" in capsys.readouterr().err


def test_a_whole_dataset_verifies(dataset: Path, capsys: Capture) -> None:
    assert run(["dataset", "verify", str(dataset)]) == 0
    assert "53 records, all as they were written" in capsys.readouterr().out
    assert run(["dataset", "verify", str(dataset), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"records": 53, "problems": []}


def check_fails(dataset: Path, capsys: Capture, *words: str) -> None:
    assert run(["dataset", "verify", str(dataset)]) == 1
    captured = capsys.readouterr()
    for word in words:
        assert word in captured.out, word
    assert "prepare it again" in captured.err


def change_record(dataset: Path, change: Callable[[bytes], bytes], *, number: int = 3) -> None:
    """Changes one stored image of the train split, wherever it is."""
    if (dataset / "train_lmdb").exists():
        with (
            lmdb.open(str(dataset / "train_lmdb")) as environment,
            environment.begin(write=True) as transaction,
        ):
            key, value = list(transaction.cursor())[number]
            transaction.put(key, change(value))
        return
    path = sorted((dataset / "train").rglob("*.png"))[number]
    path.write_bytes(change(path.read_bytes()))


def test_a_changed_pixel_is_found(dataset: Path, capsys: Capture) -> None:
    change_record(dataset, lambda value: value[:-40] + bytes([value[-40] ^ 1]) + value[-39:])
    check_fails(dataset, capsys, "train: ")


def test_a_record_that_does_not_decode_is_named(dataset: Path, capsys: Capture) -> None:
    change_record(dataset, lambda value: value[: len(value) // 2])
    check_fails(dataset, capsys, "train: ", "000")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda f: f.update(classes=2), "label 2 is out of range: expected 0 to 1"),
        (lambda f: f["splits"]["train"].update(count=40), "holds 39 records; the manifest says 40"),
        (lambda f: f["splits"]["val"]["labels"].update({"1": 9}), "val: labels are not distributed"),
        (lambda f: f.update(height=9), "39 records are 3x7x5; the manifest says 3x9x5"),
        (lambda f: f["splits"]["train"].update(digest="sha256:00"), "train: the digest differs"),
        (lambda f: f.update(width=11), "mean: mean.binaryproto is 3x7x5; expected 3x7x11"),
        (lambda f: f.update(class_names=["ant", "bee", "wasp"]), "labels.txt: does not name the classes"),
    ],
)
def test_a_manifest_that_does_not_fit_is_found(
    dataset: Path, capsys: Capture, edit: Callable[[dict], None], words: str
) -> None:
    edit_manifest(dataset, edit)
    check_fails(dataset, capsys, words)


@pytest.mark.parametrize("name", ["mean.binaryproto", "labels.txt"])
def test_missing_files_are_found(dataset: Path, capsys: Capture, name: str) -> None:
    (dataset / name).unlink()
    check_fails(dataset, capsys, "No such file")


def test_a_split_that_is_gone_is_found(dataset: Path, capsys: Capture) -> None:
    path = dataset / "val_lmdb"
    (path if path.exists() else dataset / "val.txt").rename(dataset / "moved")
    check_fails(dataset, capsys, "val: ")


def test_keys_out_of_order_are_found(tmp_path: Path, capsys: Capture) -> None:
    listing = mixed_listing(tmp_path / "images")
    build(listing, BuildSettings(resize=(7, 5)), tmp_path / "insects", source="folder")
    with (
        lmdb.open(str(tmp_path / "insects/train_lmdb")) as environment,
        environment.begin(write=True) as transaction,
    ):
        value = transaction.get(next(iter(transaction.cursor()))[0])
        transaction.put(b"00000009_z", value)
        transaction.put(b"meta", value)
    check_fails(tmp_path / "insects", capsys, "key '00000009_z' after '00000009_", "holds 41 records")


@pytest.mark.parametrize("verb", ["show", "verify"])
def test_no_dataset_is_refused_with_what_to_do(tmp_path: Path, capsys: Capture, verb: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "half" / ".unfinished").mkdir(parents=True)
    for path, words in (
        ("none", "no such dataset folder; make one with: caffeflow prepare"),
        ("empty", "has no dataset.json"),
        ("half", "is unfinished; run its caffeflow prepare again with --resume"),
    ):
        assert run(["dataset", verb, str(tmp_path / path)]) == 5
        assert words in capsys.readouterr().err


def test_a_bare_lmdb_is_counted(tmp_path: Path, capsys: Capture) -> None:
    planes = [*random_planes(5, (3, 5, 7)), *random_planes(2, (1, 5, 7))]
    write_raw_lmdb(tmp_path / "caffe_lmdb", planes, [0, 0, 1, 4, 4, 4, 4])
    assert run(["dataset", "show", str(tmp_path / "caffe_lmdb")]) == 0
    out = capsys.readouterr().out
    for words in ("7 records (7 raw)", "3x5x7", "1x5x7"):
        assert words in out, words
    assert run(["dataset", "show", str(tmp_path / "caffe_lmdb"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["labels"] == {"0": 2, "1": 1, "4": 4}
    assert shown["shapes"] == {"3x5x7": 5, "1x5x7": 2}
    assert run(["dataset", "verify", str(tmp_path / "caffe_lmdb")]) == 5
    assert "dataset show" in capsys.readouterr().err


def test_a_bare_list_is_counted_and_drawn(tmp_path: Path, capsys: Capture) -> None:
    path = write_image_list(tmp_path / "photos", random_planes(4, (3, 5, 7)), [1, 1, 0, 9])
    path.write_text(path.read_text() + "gone.png 2\n")
    assert run(["dataset", "show", str(path)]) == 0
    out = capsys.readouterr().out
    for words in ("5 records (4 png)", "3x5x7", "gone.png: cannot be read: No such file"):
        assert words in out, words
    assert run(["dataset", "show", str(path), "--root", str(tmp_path), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["broken"]) == 5


def test_pictures_in_a_sheet_are_those_of_the_records(tmp_path: Path) -> None:
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (9, 99, 199)]
    planes = [np.tile(np.array(colour, np.uint8)[:, None, None], (1, 5, 7)) for colour in colours]
    write_raw_lmdb(tmp_path / "caffe_lmdb", planes)
    sheet = tmp_path / "sheet.png"
    assert run(["dataset", "show", str(tmp_path / "caffe_lmdb"), "--sheet", str(sheet)]) == 0
    picture = cv2.imread(str(sheet))
    centres = [picture[6 + 48 + 117 * (n // 2), 6 + 48 + 102 * (n % 2)] for n in range(4)]
    assert [tuple(int(v) for v in centre) for centre in centres] == colours
