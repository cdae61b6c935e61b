"""What goes wrong at users' desks: one clear line, the right exit code, nothing half-made left."""

from __future__ import annotations

import fcntl
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.proto.binary import LayerArrays, write_caffemodel, write_mean

NET = """
name: "tiny"
layer { name: "data" type: "Data" top: "data" top: "label" transform_param { MEAN }
  data_param { source: "SOURCE" batch_size: 4 backend: LMDB } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


class Desk:
    """A user's working folder and what the last command said."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.path = path
        self._capsys = capsys

    def image(self, name: str, *, seed: int = 0) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = np.random.default_rng(seed).integers(0, 256, (12, 14, 3), dtype=np.uint8)
        assert cv2.imwrite(str(path), picture)
        return path

    def photos(self, *, classes: int = 2, each: int = 6) -> Path:
        for label in range(classes):
            for index in range(each):
                self.image(f"photos/c{label}/{index}.png", seed=label * 100 + index)
        return self.path / "photos"

    def text(self, name: str, content: str) -> Path:
        path = self.path / name
        path.write_text(content)
        return path

    def dataset(self) -> None:
        self.photos()
        assert run(["prepare", "folder", "photos", "--name", "photos"]) == 0
        self._capsys.readouterr()

    def net(self, text: str = NET, *, source: str = "data/photos/train_lmdb", mean: str = "") -> None:
        self.text("net.prototxt", text.replace("SOURCE", source).replace("MEAN", mean))
        self.text(
            "solver.prototxt",
            'net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 2 snapshot_prefix: "snap"',
        )

    def fails(self, *words: str, code: int, says: tuple[str, ...]) -> None:
        """Runs a command that must fail so, and must leave nothing behind."""
        before = set(self.path.rglob("*"))
        assert run(list(words)) == code
        message = self._capsys.readouterr().err
        errors = [line for line in message.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, message
        for word in says:
            assert word in message, f"{word!r} is missing in: {message}"
        assert "Traceback" not in message
        left = {path.relative_to(self.path).as_posix() for path in {*self.path.rglob("*")} - before}
        assert left == set()

    def works(self, *words: str) -> str:
        assert run(list(words)) == 0
        captured = self._capsys.readouterr()
        return captured.out + captured.err


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    return Desk(tmp_path, capsys)


def test_missing_folder(desk: Desk) -> None:
    desk.fails("prepare", "folder", "nowhere", code=5, says=("nowhere",))


def test_empty_folder(desk: Desk) -> None:
    (desk.path / "photos").mkdir()
    desk.fails("prepare", "folder", "photos", code=5, says=("photos",))


def test_one_class(desk: Desk) -> None:
    desk.photos(classes=1)
    desk.fails("prepare", "folder", "photos", code=5, says=("c0", "class"))


def spoil(path: Path, kind: str) -> None:
    content = path.read_bytes()
    if kind == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "corrupt":
        path.write_bytes(b"this is no picture at all, whatever its name says")
    else:
        assert cv2.imwrite(str(path), np.full((5, 7, 3), 40_000, np.uint16))


@pytest.mark.parametrize("kind", ["truncated", "empty", "corrupt", "16-bit"])
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_unusable_images_are_counted_and_listed_and_strict_makes_them_errors(
    desk: Desk, kind: str, ending: str
) -> None:
    if kind == "16-bit" and ending == "jpg":
        pytest.skip("JPEG files have 8 bits")
    desk.photos()
    spoil(desk.image(f"photos/c1/bad.{ending}"), kind)
    desk.fails("prepare", "folder", "photos", "--strict", code=5, says=(f"bad.{ending}",))
    said = desk.works("prepare", "folder", "photos", "--name", "photos")
    rejects = (desk.path / "data/photos/rejects.txt").read_text()
    assert f"bad.{ending}" in rejects
    reason = rejects.split()[-1] if kind == "16-bit" else ""
    assert reason in said


@pytest.mark.parametrize(("label", "words"), [("-1", "-1"), ("cat", "cat"), ("1.5", "1.5")])
def test_labels_that_are_no_classes(desk: Desk, label: str, words: str) -> None:
    desk.photos()
    desk.text("train.txt", f"c0/0.png 0\nc1/0.png {label}\n")
    desk.fails(
        "prepare", "list", "--train", "train.txt", "--root", "photos", code=5, says=("train.txt:2", words)
    )


def test_gaps_in_labels_are_named(desk: Desk) -> None:
    desk.photos()
    desk.text("train.txt", "c0/0.png 0\nc1/0.png 3\n")
    said = desk.works("prepare", "list", "--train", "train.txt", "--root", "photos")
    assert "1, 2" in said or "1 and 2" in said or "1-2" in said or "1 to 2" in said, said


def test_labels_beyond_num_output_are_found_before_training(desk: Desk) -> None:
    desk.photos(classes=3)
    desk.works("prepare", "folder", "photos", "--name", "photos")
    desk.net()
    desk.fails("train", "--solver", "solver.prototxt", code=5, says=("label", "2", "num_output"))


def test_lmdb_path_that_is_missing(desk: Desk) -> None:
    desk.net(source="data/nothing/train_lmdb")
    desk.fails("train", "--solver", "solver.prototxt", code=5, says=("data/nothing/train_lmdb",))


def test_lmdb_path_that_is_a_file(desk: Desk) -> None:
    desk.text("file.lmdb", "x")
    desk.net(source="file.lmdb")
    desk.fails("train", "--solver", "solver.prototxt", code=5, says=("file.lmdb",))


def test_mean_of_another_size(desk: Desk) -> None:
    desk.dataset()
    write_mean(desk.path / "mean.binaryproto", np.zeros((3, 5, 7), np.float32))
    desk.net(mean='mean_file: "mean.binaryproto"')
    desk.fails(
        "train", "--solver", "solver.prototxt", code=5, says=("mean.binaryproto", "5", "7", "12", "14")
    )


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("inner_product_param { num_output", "inner_product_param { num_outputs", ("net.prototxt:6", "num_outputs")),
        ('type: "InnerProduct"', 'type: "InerProduct"', ("net.prototxt:5", "'ip'", "InnerProduct")),
        ('bottom: "ip"', 'bottom: "ipp"', ("net.prototxt:7", "'loss'", "'ipp'", "'ip'")),
        ('bottom: "ip" bottom: "label"', 'bottom: "label" bottom: "ip"', ("net.prototxt:7", "'loss'")),
        ("num_output: 2", "num_output: 0", ("net.prototxt:5", "'ip'", "num_output")),
    ],
)  # fmt: skip
def test_nets_that_caffe_would_refuse(desk: Desk, old: str, new: str, says: tuple[str, ...]) -> None:
    desk.dataset()
    assert old in NET
    desk.net(NET.replace(old, new))
    desk.fails("train", "--solver", "solver.prototxt", code=4, says=says)


def test_solver_without_net(desk: Desk) -> None:
    desk.text("solver.prototxt", 'base_lr: 0.1 lr_policy: "fixed" max_iter: 1')
    desk.fails("train", "--solver", "solver.prototxt", code=4, says=("solver.prototxt", "net"))


def test_snapshot_of_another_net(desk: Desk) -> None:
    desk.dataset()
    desk.net()
    desk.works("train", "--solver", "solver.prototxt", "--out", "run")
    desk.net(NET.replace("num_output: 2", "num_output: 3"))
    desk.fails(
        "train", "--solver", "solver.prototxt", "--snapshot", "snap_iter_2.solverstate",
        code=6, says=("'ip'", "rename"),
    )  # fmt: skip


WEIGHTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "truncated": (lambda good: good[: len(good) // 2], "truncated"),
    "lfs": (lambda _: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git-lfs"),
    "html": (lambda _: b"<!DOCTYPE html><title>404</title>", "HTML"),
}


@pytest.mark.parametrize("kind", WEIGHTS)
def test_weights_that_are_none(desk: Desk, kind: str) -> None:
    desk.dataset()
    desk.net()
    path = desk.path / "w.caffemodel"
    blobs = (np.ones((2, 504), np.float32), np.zeros(2, np.float32))
    write_caffemodel(path, name="w", layers=[LayerArrays("ip", "InnerProduct", (), (), blobs)])
    make, word = WEIGHTS[kind]
    path.write_bytes(make(path.read_bytes()))
    desk.fails(
        "train",
        "--solver",
        "solver.prototxt",
        "--weights",
        "w.caffemodel",
        code=6,
        says=("w.caffemodel", word),
    )
    desk.fails("weights", "show", "w.caffemodel", code=6, says=("w.caffemodel", word))


@pytest.mark.parametrize("name", ["../escape.JPEG", "/escape.JPEG"])
def test_tar_members_that_climb_out(desk: Desk, name: str) -> None:
    (desk.path / "data/raw").mkdir(parents=True)
    picture = desk.image("one.jpg").read_bytes()
    with tarfile.open(desk.path / "data/raw/ILSVRC2012_img_train.tar", "w") as outer:
        for synset in ("n00000001", "n00000002"):
            inner_bytes = io.BytesIO()
            with tarfile.open(fileobj=inner_bytes, mode="w") as inner:
                entry = tarfile.TarInfo(name if synset == "n00000002" else f"{synset}_1.JPEG")
                entry.size = len(picture)
                inner.addfile(entry, io.BytesIO(picture))
            whole = tarfile.TarInfo(f"{synset}.tar")
            whole.size = len(inner_bytes.getvalue())
            outer.addfile(whole, io.BytesIO(inner_bytes.getvalue()))
    desk.fails("prepare", "imagenet", "--only", "train", code=5, says=("ILSVRC2012_img_train.tar", name))


def test_two_writers_of_one_dataset(desk: Desk) -> None:
    desk.dataset()
    (lock,) = [path for path in (desk.path / "data").rglob("*lock*") if "mdb" not in path.name] or [None]
    if lock is None:  # the lock lives only while somebody writes: hold it as a writer would
        (desk.path / "data/other/.unfinished").mkdir(parents=True)
        lock = desk.path / "data/other/.unfinished/lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        desk.fails("prepare", "folder", "photos", "--out", "data/other", code=5, says=("data/other",))
