"""What `prepare voc` writes, SSD's own convert_annoset and get_image_size write: keys, records, sizes."""

from __future__ import annotations

from pathlib import Path

import lmdb
import pytest

from caffeflow.cli.main import run
from tests.support.detection_files import voc_devkit, write_tree
from tests.support.native import NativeCaffe, Report

pytestmark = pytest.mark.native


def read_records(path: Path) -> dict[bytes, bytes]:
    with lmdb.open(str(path), readonly=True, lock=False) as env, env.begin() as transaction:
        return dict(transaction.cursor())


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ((), ("-encode_type=jpg", "-encoded")),
        (("--encode", "raw"), ()),
        (("--encode", "raw", "--resize", "23x31"), ("-resize_height=23", "-resize_width=31")),
        (("--encode", "raw", "--min-dim", "40", "--max-dim", "50"), ("-min_dim=40", "-max_dim=50")),
        (("--encode", "raw", "--gray"), ("-gray",)),
    ],
    ids=["jpg-as-it-is", "pixels", "resized", "by-dims", "gray"],
)
def test_records_are_those_of_convert_annoset(
    ssd_caffe: NativeCaffe, tmp_path: Path, report: Report, ours: tuple[str, ...], theirs: tuple[str, ...]
) -> None:
    for files in voc_devkit():
        write_tree(tmp_path, files)
    root = tmp_path / "VOCdevkit"
    words = ["prepare", "voc", str(root), "--no-shuffle", "--out", str(tmp_path / "ours"), *ours]
    assert run(words) == 0
    total = 0
    for split in ("train", "val"):
        listed = tmp_path / "ours" / f"{split}.txt"
        made = tmp_path / f"{split}_lmdb"
        ssd_caffe.run(
            "convert_annoset",
            "-anno_type=detection",
            f"-label_map_file={tmp_path / 'ours' / 'labelmap.prototxt'}",
            "-check_label",
            "-backend=lmdb",
            *theirs,
            f"{root}/",
            listed,
            made,
        )
        expected, found = read_records(made), read_records(tmp_path / "ours" / f"{split}_lmdb")
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert found[key] == value, key
        total += len(found)
    ssd_caffe.run("get_image_size", f"{root}/", tmp_path / "ours" / "val.txt", tmp_path / "sizes.txt")
    assert (tmp_path / "ours" / "test_name_size.txt").read_text() == (tmp_path / "sizes.txt").read_text()
    report(f"LMDB against convert_annoset, {' '.join(ours) or 'as it is'}", f"{total} records, byte for byte")
