"""What `prepare` writes, `convert_imageset` and `compute_image_mean` write: keys, labels, bytes, mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from caffeflow.data.build import BuildSettings, build
from caffeflow.data.sources.image_list import ListSettings, list_jobs
from caffeflow.proto.binary import read_binaryproto
from caffeflow.proto.caffe_pb2 import Datum
from tests.support.native import NativeCaffe, Report
from tests.support.native_pictures import write_list, write_textures

pytestmark = pytest.mark.native


@dataclass(frozen=True)
class Case:
    """The same wish, in Caffe's flags and in our settings."""

    name: str
    pictures: str
    flags: tuple[str, ...]
    settings: dict[str, object]
    same_bytes: bool = field(default=True)


SIZE = ("-resize_height=23", "-resize_width=31")
CASES = [
    Case("png as pixels", "png", (), {"encode": "raw"}),
    Case("png as pixels, resized", "png", SIZE, {"encode": "raw", "resize": (23, 31)}),
    Case("png as pixels, gray", "png", ("-gray",), {"encode": "raw", "gray": True}),
    Case("png as pixels, gray and resized", "png", ("-gray", *SIZE), {"encode": "raw", "gray": True, "resize": (23, 31)}),
    Case("png, one size, with mean", "square", (), {"encode": "raw"}),
    Case("png as it is", "png", ("-encoded",), {"encode": "png"}),
    Case("png resized to png", "png", ("-encode_type=png", *SIZE), {"encode": "png", "resize": (23, 31)}, False),
    Case("jpg as pixels", "jpg", (), {"encode": "raw"}),
    Case("jpg as pixels, resized", "jpg", SIZE, {"encode": "raw", "resize": (23, 31)}),
    Case("jpg as pixels, gray", "jpg", ("-gray",), {"encode": "raw", "gray": True}),
    Case("jpg as it is", "jpg", ("-encoded",), {"encode": "jpg"}),
    Case("jpg resized to jpg", "jpg", ("-encode_type=jpg", *SIZE), {"encode": "jpg", "resize": (23, 31)}, False),
    Case("png to jpg", "png", ("-encode_type=jpg",), {"encode": "jpg"}, False),
]  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders of textures, each with a list; one file of each is no picture."""
    root = tmp_path_factory.mktemp("pictures")
    sizes = [(64, 80), (90, 70), (47, 61)]
    write_textures(root / "png", classes=3, per_class=17, sizes=sizes)
    write_textures(root / "jpg", classes=3, per_class=17, sizes=sizes, suffix=".jpg")
    write_textures(root / "square", classes=3, per_class=17, sizes=[(32, 32)])
    for kind in ("png", "jpg", "square"):
        suffix = "jpg" if kind == "jpg" else "png"
        (root / kind / "c1" / f"0005.{suffix}").write_bytes(b"no picture at all")
        write_list(root / kind, root / f"{kind}.txt")
    return root


def read_records(path: Path) -> dict[bytes, bytes]:
    with lmdb.open(str(path), readonly=True, lock=False) as env, env.begin() as transaction:
        return dict(transaction.cursor())


def decoded(value: bytes) -> np.ndarray:
    datum = Datum.FromString(value)
    assert datum.encoded
    return cv2.imdecode(np.frombuffer(datum.data, np.uint8), cv2.IMREAD_UNCHANGED)


def prepare_both(case: Case, caffe: NativeCaffe, pictures: Path, folder: Path) -> tuple[Path, Path]:
    """Returns the LMDB that Caffe writes and the dataset folder that we write."""
    root, listing = pictures / case.pictures, pictures / f"{case.pictures}.txt"
    caffe.run("convert_imageset", *case.flags, f"{root}/", listing, folder / "caffe_lmdb")
    settings = BuildSettings(shuffle=False, **case.settings)
    build(list_jobs(ListSettings(train=listing, root=root)), settings, folder / "ours", source="list")
    return folder / "caffe_lmdb", folder / "ours"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_records_are_those_of_convert_imageset(
    case: Case, caffe: NativeCaffe, pictures: Path, tmp_path: Path, report: Report
) -> None:
    native, ours = prepare_both(case, caffe, pictures, tmp_path)
    expected, found = read_records(native), read_records(ours / "train_lmdb")
    assert len(expected) == 50
    assert list(found) == list(expected)
    for key, value in expected.items():
        theirs, mine = Datum.FromString(value), Datum.FromString(found[key])
        assert mine.label == theirs.label, key
        if case.same_bytes:
            assert found[key] == value, key
        else:
            assert mine.encoded, key
            assert np.array_equal(decoded(found[key]), decoded(value)), key
    same = sum(found[key] == value for key, value in expected.items())
    report(
        f"LMDB: {case.name}", f"{len(expected)} records: keys, labels, pixels equal; bytes equal in {same}"
    )


@pytest.mark.parametrize("name", ["png as pixels, resized", "png, one size, with mean", "png resized to png"])
def test_mean_is_that_of_compute_image_mean(
    name: str, caffe: NativeCaffe, pictures: Path, tmp_path: Path, report: Report
) -> None:
    case = next(case for case in CASES if case.name == name)
    native, ours = prepare_both(case, caffe, pictures, tmp_path)
    caffe.run("compute_image_mean", native, tmp_path / "mean.binaryproto")
    expected = read_binaryproto(tmp_path / "mean.binaryproto")
    found = read_binaryproto(ours / "mean.binaryproto")
    assert found.shape == expected.shape
    difference = float(np.abs(found - expected).max())
    assert difference <= 1e-4
    report(f"mean: {name}", f"largest difference {difference:.1e}")


def test_caffe_computes_its_mean_from_our_lmdb(caffe: NativeCaffe, pictures: Path, tmp_path: Path) -> None:
    _, ours = prepare_both(CASES[1], caffe, pictures, tmp_path)
    caffe.run("compute_image_mean", ours / "train_lmdb", tmp_path / "mean.binaryproto")
    expected = read_binaryproto(tmp_path / "mean.binaryproto")
    np.testing.assert_allclose(read_binaryproto(ours / "mean.binaryproto"), expected, atol=1e-4, rtol=0)
