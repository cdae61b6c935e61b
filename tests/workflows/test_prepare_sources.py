"""`caffeflow prepare` from every source to a dataset on disk: what it says, writes, and refuses."""

from __future__ import annotations

import gzip
import json
import signal
from pathlib import Path

import lmdb
import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.data.manifest import read_manifest
from caffeflow.data.settings import BuildSettings
from caffeflow.data.sources.folder import FolderSettings
from caffeflow.data.sources.imagenet import ImagenetSettings
from caffeflow.errors import StoppedError
from caffeflow.proto import caffe_pb2
from caffeflow.workflows.prepare import Request, Watch, prepare
from tests.support import imagenet
from tests.support.mixed_images import file_bytes, folder_content, picture

Capture = pytest.CaptureFixture[str]


def write_classes(root: Path, *, per_class: int = 4, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    for label, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for number in range(per_class):
            image = picture(10 * label + number, height=11, width=13)
            (root / name / f"{number}.png").write_bytes(file_bytes(image, "png"))
    return root


def records(path: Path) -> list[tuple[str, caffe_pb2.Datum]]:
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return [(key.decode(), caffe_pb2.Datum.FromString(value)) for key, value in transaction.cursor()]


# -- folder and list ----------------------------------------------------------------------------------


def test_a_folder_becomes_a_dataset_and_the_next_step_is_told(capsys: Capture) -> None:
    write_classes(Path("photos/train"))
    write_classes(Path("photos/val"), per_class=1)
    (Path("photos/train/cat") / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert run(["prepare", "folder", "photos", "--gray", "--resize", "7x5"]) == 0
    said = capsys.readouterr()
    lines = [line.split() for line in said.out.splitlines()]
    assert ["train", "8", "1", "truncated", "0", "train_lmdb"] in lines
    assert ["val", "2", "0", "0", "val_lmdb"] in lines
    assert ["0", "cat", "4", "1"] in lines
    assert "data/folder: lmdb, raw, 1x7x5, 2 classes" in said.out
    assert "left out: see data/folder/rejects.txt" in said.out
    assert "next: caffeflow render lenet --data data/folder" in said.out
    assert "forecast: 11 images" in said.err
    assert Path("data/folder/rejects.txt").read_text() == "train\tcat/broken.png\ttruncated\n"
    assert Path("data/folder/labels.txt").read_text() == "cat\ndog\n"
    found = records(Path("data/folder/val_lmdb"))
    assert [(key, datum.label) for key, datum in found] == [
        ("00000000_cat/0.png", 0),
        ("00000001_dog/0.png", 1),
    ]
    assert {(datum.channels, datum.height, datum.width) for _, datum in found} == {(1, 7, 5)}


def test_val_is_held_back_by_fraction_and_seed(capsys: Capture) -> None:
    write_classes(Path("photos"), per_class=10)
    vals = []
    for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
        assert (
            run(["prepare", "folder", "photos", "--val-fraction", "0.2", "--seed", seed, "--name", name]) == 0
        )
        vals.append([key for key, _ in records(Path("data") / name / "val_lmdb")])
    assert vals[0] == vals[1] != vals[2]
    assert len(vals[0]) == 4
    assert read_manifest(Path("data/c")).settings["val_fraction"] == 0.2
    capsys.readouterr()


def test_lists_keep_caffes_keys_and_order(capsys: Capture) -> None:
    write_classes(Path("photos/my pets"))
    lines = ["my pets/dog/3.png 1", "my pets/cat/0.png 0", "my pets/nothing.png 0", "my pets/dog/1.png 3"]
    Path("train.txt").write_text("\n".join(lines) + "\n")
    arguments = ["--train", "train.txt", "--root", "photos", "--no-shuffle", "--out", "mine"]
    assert run(["prepare", "list", *arguments]) == 0
    said = capsys.readouterr()
    assert "some never occur: 2" in said.err
    assert "no val split" in said.err
    found = [(key, datum.label) for key, datum in records(Path("mine/train_lmdb"))]
    # Caffe: convert_imageset.cpp counts an unreadable image too, so that keys have gaps
    assert found == [
        ("00000000_my pets/dog/3.png", 1),
        ("00000001_my pets/cat/0.png", 0),
        ("00000003_my pets/dog/1.png", 3),
    ]
    assert "1 missing" in said.out
    assert read_manifest(Path("mine")).classes == 4


def test_imagedata_is_files_and_lists(capsys: Capture) -> None:
    write_classes(Path("photos"))
    assert (
        run(["prepare", "folder", "photos", "--backend", "imagedata", "--encode", "jpg", "--out", "d"]) == 0
    )
    lines = Path("d/train.txt").read_text().splitlines()
    assert len(lines) == 8
    for line in lines:
        name, label = line.rsplit(" ", 1)
        assert (Path("d/train") / name).read_bytes()[:2] == b"\xff\xd8"
        assert name.split("/")[0] == ("cat", "dog")[int(label)]
    capsys.readouterr()


def test_json_is_all_that_stdout_gets(capsys: Capture) -> None:
    write_classes(Path("photos"))
    assert run(["prepare", "folder", "photos", "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["out_dir"] == "data/folder"
    assert outcome["manifest"]["splits"]["train"]["labels"] == {"0": 4, "1": 4}
    assert outcome["images_per_s"] > 0
    assert run(["prepare", "folder", "photos", "--json", "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"train": 8}


def test_a_dry_run_writes_nothing(capsys: Capture) -> None:
    write_classes(Path("photos"))
    assert run(["prepare", "folder", "photos", "--dry-run", "--limit", "5"]) == 0
    said = capsys.readouterr().out
    assert "data/folder would hold train 5; 2 classes" in said
    assert "forecast: 5 images" in said
    assert not Path("data").exists()


def test_what_is_there_stays_unless_forced(capsys: Capture) -> None:
    write_classes(Path("photos"))
    assert run(["prepare", "folder", "photos"]) == 0
    before = folder_content(Path("data/folder"))
    assert run(["prepare", "folder", "photos"]) == 0
    assert "was there already" in capsys.readouterr().out
    assert run(["prepare", "folder", "photos", "--gray"]) == 5
    assert "--force" in capsys.readouterr().err
    assert folder_content(Path("data/folder")) == before
    assert run(["prepare", "folder", "photos", "--gray", "--force"]) == 0
    assert read_manifest(Path("data/folder")).channels == 1
    capsys.readouterr()


def test_many_classes_are_told_in_a_line_a_split(capsys: Capture) -> None:
    classes = tuple(f"c{number:02}" for number in range(23))
    write_classes(Path("photos"), per_class=2, classes=classes)
    (Path("photos") / "c07" / "0.png").unlink()
    assert run(["prepare", "folder", "photos"]) == 0
    assert "train: 1 to 2 images a class, median 2; fewest 7 (c07), most 0 (c00)" in capsys.readouterr().out


def test_images_of_several_sizes_have_no_mean(capsys: Capture) -> None:
    write_classes(Path("photos"))
    (Path("photos/cat") / "large.png").write_bytes(file_bytes(picture(3, height=17, width=19), "png"))
    assert run(["prepare", "folder", "photos"]) == 0
    said = capsys.readouterr().out
    assert "3x?x?" in said
    assert "mean: none" in said
    assert not Path("data/folder/mean.binaryproto").exists()


REFUSED: dict[str, tuple[list[str], int, str]] = {
    "no folder": (["folder", "nowhere"], 5, "nowhere: no such folder"),
    "no root": (["folder"], 2, "ROOT"),
    "two resizes": (["folder", "photos", "--resize", "8", "--short-side", "8"], 2, "exclude each other"),
    "bad resize": (["folder", "photos", "--resize", "8by8"], 2, "'8by8': expected height x width"),
    "zero resize": (["folder", "photos", "--resize", "0x5"], 2, "expected sides of at least 1"),
    "bad fraction": (["folder", "photos", "--val-fraction", "2"], 2, "--val-fraction 2"),
    "raw imagedata": (["folder", "photos", "--backend", "imagedata", "--encode", "raw"], 2, "found raw"),
    "no list": (["list", "--train", "none.txt"], 5, "none.txt: cannot be read"),
    "coarse cifar10": (["cifar10", "--coarse"], 2, "--coarse"),
    "no cifar": (["cifar100"], 5, "cifar-100-binary.tar.gz  168,513,733 bytes"),
    "no imagenet": (["imagenet"], 5, "ILSVRC2012_img_train.tar  147,897,477,120 bytes"),
    "name and out": (["folder", "photos", "--name", "a", "--out", "b"], 2, "give one of them"),
    "name with a path": (["folder", "photos", "--name", "../a"], 2, "--out takes a path"),
    "unknown source": (["cifar"], 2, "cifar"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_code_and_reason_and_nothing_left(case: str, capsys: Capture) -> None:
    write_classes(Path("photos"))
    arguments, code, reason = REFUSED[case]
    assert run(["prepare", *arguments]) == code
    said = capsys.readouterr()
    assert reason in said.err
    assert said.out == ""
    assert not Path("data").exists()


def test_name_and_out_may_say_the_same() -> None:
    write_classes(Path("photos"))
    assert run(["prepare", "folder", "photos", "--name", "a", "--out", "data/a", "--dry-run"]) == 0


def test_strict_names_the_image_and_leaves_nothing(capsys: Capture) -> None:
    write_classes(Path("photos"))
    (Path("photos/dog") / "bad.png").write_bytes(b"")
    assert run(["prepare", "folder", "photos", "--strict"]) == 5
    assert "dog/bad.png' is empty" in capsys.readouterr().err
    assert not Path("data/folder").exists()


# -- cifar --------------------------------------------------------------------------------------------


def write_cifar10(path: Path) -> dict[str, bytes]:
    rng = np.random.default_rng(3)
    files = {"batches.meta.txt": b"\n".join(b"class%d" % label for label in range(10)) + b"\n\n"}
    for name in [*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"]:
        files[name] = b"".join(bytes([label]) + rng.bytes(3072) for label in range(10))
    inside = {f"cifar-10-batches-bin/{name}": content for name, content in files.items()}
    path.write_bytes(gzip.compress(imagenet.tar_bytes(inside)))
    return files


def test_cifar10_pixels_become_bgr(capsys: Capture) -> None:
    files = write_cifar10(Path("my.tar.gz"))
    assert run(["prepare", "cifar10", "--archive", "my.tar.gz"]) == 5
    assert "md5" in capsys.readouterr().err
    assert run(["prepare", "cifar10", "--archive", "my.tar.gz", "--no-md5", "--no-shuffle"]) == 0
    said = capsys.readouterr().out
    assert "data/cifar10: lmdb, raw, 3x32x32, 10 classes" in said
    assert "caffeflow render cifar10-quick --data data/cifar10" in said
    found = records(Path("data/cifar10/train_lmdb"))
    assert len(found) == 50
    key, datum = found[13]
    assert key == "00000013_class3/data_batch_2_00003"
    assert datum.label == 3
    rgb = np.frombuffer(files["data_batch_2.bin"][3 * 3073 + 1 : 4 * 3073], np.uint8).reshape(3, 32, 32)
    np.testing.assert_array_equal(np.frombuffer(datum.data, np.uint8).reshape(3, 32, 32), rgb[::-1])


def test_a_dry_run_leaves_no_unpacked_archive(capsys: Capture) -> None:
    write_cifar10(Path("my.tar.gz"))
    assert run(["prepare", "cifar10", "--archive", "my.tar.gz", "--no-md5", "--dry-run"]) == 0
    assert "train 50, val 10; 10 classes" in capsys.readouterr().out
    assert not Path("data").exists()


# -- imagenet -----------------------------------------------------------------------------------------


def photo(name: str) -> bytes:
    """Stands for a photo; one is a PNG called JPEG, one is cut off."""
    number = sum(name.encode())
    image = picture(number, height=29 + number % 7, width=31)
    content = file_bytes(image, "png" if name == imagenet.train_names(imagenet.SYNSETS[1])[0] else "jpg")
    return content[:-20] if name == imagenet.val_name(2) else content


def write_imagenet(raw: Path) -> None:
    raw.mkdir(parents=True)
    imagenet.write_train_tar(raw / "ILSVRC2012_img_train.tar", picture=photo)
    imagenet.write_val_tar(raw / "ILSVRC2012_img_val.tar", picture=photo)
    imagenet.write_devkit(raw)


def test_imagenet_from_its_archives(capsys: Capture) -> None:
    write_imagenet(Path("data/raw"))
    assert run(["prepare", "imagenet", "--no-shuffle"]) == 0
    said = capsys.readouterr()
    assert "data/imagenet: lmdb, jpg, 3x256x256, 3 classes" in said.out
    assert "1 png named .JPEG" in said.out
    assert "1 truncated" in said.out
    assert "3 of 1000 synsets" in said.err
    assert Path("data/imagenet/labels.txt").read_text().splitlines()[0] == "n01440764 tench, Tinca tinca"
    train = [(key, datum.label) for key, datum in records(Path("data/imagenet/train_lmdb"))]
    assert train[0] == ("00000000_n01440764/n01440764_10.JPEG", 0)
    assert [label for _, label in train] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    val = [(key, datum.label) for key, datum in records(Path("data/imagenet/val_lmdb"))]
    assert val == [
        ("00000000_ILSVRC2012_val_00000001.JPEG", 2),
        ("00000002_ILSVRC2012_val_00000003.JPEG", 1),
        ("00000003_ILSVRC2012_val_00000004.JPEG", 2),
        ("00000004_ILSVRC2012_val_00000005.JPEG", 0),
    ]
    assert sorted(path.name for path in Path("data/raw").iterdir()) == [
        "ILSVRC2012_devkit_t12.tar.gz",
        "ILSVRC2012_img_train.tar",
        "ILSVRC2012_img_val.tar",
    ]


@pytest.mark.parametrize(
    ("options", "size"),
    [(["--resize", "none"], (None, 31)), (["--short-side", "16"], None), (["--resize", "24"], (24, 24))],
)
def test_imagenets_recipe_can_be_changed(
    options: list[str], size: tuple[int | None, int] | None, capsys: Capture
) -> None:
    write_imagenet(Path("data/raw"))
    assert run(["prepare", "imagenet", *options]) == 0
    manifest = read_manifest(Path("data/imagenet"))
    if size is not None:
        assert (manifest.height, manifest.width) == size
    else:
        assert manifest.settings["short_side"] == 16
        assert manifest.settings["resize"] is None
    capsys.readouterr()


# -- stopping -----------------------------------------------------------------------------------------


def test_ctrl_c_stops_resumably_and_the_rest_is_that_of_an_unbroken_build() -> None:
    write_classes(Path("photos"), per_class=30)
    source = FolderSettings(root=Path("photos"))
    whole = prepare(Request(source=source, settings=BuildSettings(), out_dir=Path("whole/d")), Watch())
    assert whole.images_per_s is not None

    stopping = Watch(on_progress=lambda _: signal.raise_signal(signal.SIGINT))
    request = Request(source=source, settings=BuildSettings(), out_dir=Path("stopped/d"))
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(StoppedError, match=r"stopped after 16 of 60 images of 'train'.*--resume"):
        prepare(request, stopping)
    assert signal.getsignal(signal.SIGINT) is before
    assert run(["render", "lenet", "--data", "stopped/d"]) == 5  # unfinished: no reader takes it
    resumed = Request(source=source, settings=BuildSettings(resume=True), out_dir=Path("stopped/d"))
    assert prepare(resumed, Watch()).manifest == whole.manifest
    assert folder_content(Path("stopped/d")) == folder_content(Path("whole/d"))


def test_ctrl_c_while_listing_leaves_nothing() -> None:
    write_imagenet(Path("data/raw"))
    stopping = Watch(tell=lambda *_: signal.raise_signal(signal.SIGINT))
    with pytest.raises(StoppedError, match="data/imagenet: stopped"):
        prepare(Request(source=ImagenetSettings(), settings=BuildSettings()), stopping)
    assert [path.name for path in Path("data").iterdir()] == ["raw"]
