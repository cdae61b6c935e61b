"""`caffeflow prepare voc | coco | kitti`, from the publishers' files to LMDBs: bytes, lists, words, refusals."""

from __future__ import annotations

import json
import signal
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import lmdb
import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.data.manifest import read_manifest
from caffeflow.data.settings import BuildSettings
from caffeflow.data.sources.voc import VocSettings
from caffeflow.errors import StoppedError
from caffeflow.proto import caffe_pb2
from caffeflow.proto.labelmap import format_label_map, label_map_of, read_label_map
from caffeflow.workflows.prepare import Request, Watch, prepare
from tests.support.detection_files import (
    Files,
    coco_2017,
    jpeg,
    kitti,
    kitti_line,
    voc_devkit,
    voc_edition,
    voc_object,
    voc_xml,
    write_tar,
    write_tree,
    write_zip,
)
from tests.support.mixed_images import folder_content
from tests.support.oracles import convert_annoset as oracle

Capture = pytest.CaptureFixture[str]


def records(path: Path) -> list[tuple[bytes, bytes]]:
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return list(transaction.cursor())


def datums(path: Path) -> list[tuple[str, caffe_pb2.AnnotatedDatum]]:
    return [(key.decode(), caffe_pb2.AnnotatedDatum.FromString(value)) for key, value in records(path)]


def voc_item(files: Files, name: str, labels: dict[str, int]) -> oracle.Item:
    """Returns what convert_annoset makes of an image and its XML, read by the standard library."""
    root = ElementTree.fromstring(files[name.replace("JPEGImages", "Annotations").replace(".jpg", ".xml")])  # noqa: S314
    boxes = [
        (
            labels[each.findtext("name") or ""],
            *(float(each.findtext(f"bndbox/{side}") or "x") for side in ("xmin", "ymin", "xmax", "ymax")),
            each.findtext("difficult") == "1",
        )
        for each in root.iter("object")
    ]
    size = int(root.findtext("size/height") or 0), int(root.findtext("size/width") or 0)
    return oracle.Item(name, files[name], boxes, size)  # type: ignore[arg-type]


# -- voc ----------------------------------------------------------------------------------------------


def test_voc0712_from_its_archives_is_what_convert_annoset_writes(capsys: Capture) -> None:
    parts = voc_devkit()
    for name, files in zip(
        ("VOCtrainval_06-Nov-2007", "VOCtest_06-Nov-2007", "VOCtrainval_11-May-2012"), parts, strict=True
    ):
        write_tar(Path("data/raw") / f"{name}.tar", files)
    assert run(["prepare", "voc", "--no-shuffle"]) == 0
    said = capsys.readouterr()
    assert "data/voc: lmdb, jpg" in said.out
    everything = {
        name.removeprefix("VOCdevkit/"): content for part in parts for name, content in part.items()
    }
    labels = {"cat": 8, "dog": 12, "person": 15, "sofa": 18}
    lists = {
        "train": [
            "VOC2007/JPEGImages/000005",
            "VOC2007/JPEGImages/000007",
            "VOC2012/JPEGImages/2008_000003",
            "VOC2012/JPEGImages/2008_000002",
        ],
        "val": ["VOC2007/JPEGImages/000001", "VOC2007/JPEGImages/000002"],
    }
    for split, stems in lists.items():
        items = [voc_item(everything, f"{stem}.jpg", labels) for stem in stems]
        assert records(Path(f"data/voc/{split}_lmdb")) == oracle.convert(items, encoding="jpg")
        lines = [f"{stem}.jpg {stem.replace('JPEGImages', 'Annotations')}.xml" for stem in stems]
        assert Path(f"data/voc/{split}.txt").read_text().splitlines() == lines
    assert Path("data/voc/test_name_size.txt").read_text() == "000001 17 23\n000002 17 23\n"
    assert read_label_map(Path("data/voc/labelmap.prototxt")).num_classes == 21
    manifest = read_manifest(Path("data/voc"))
    assert (manifest.task, manifest.classes, manifest.class_names[15]) == ("detection", 21, "person")
    assert manifest.splits["train"].labels == {8: 1, 12: 3, 18: 1}
    assert run(["dataset", "verify", "data/voc"]) == 0
    capsys.readouterr()


def write_own(root: Path) -> Path:
    box = (2, 3, 11, 13)
    images = {f"{letter}": [("wheel", box), ("axle", box)] for letter in "abcdefgh"}
    return write_tree(root, voc_edition(images, {"train": "abcde", "val": "fgh"}))


def test_bad_boxes_and_classes_are_counted_listed_and_errors_with_strict(capsys: Capture) -> None:
    root = write_own(Path("parts"))
    odd = [
        voc_object("wheel", (2, 3, 11, 13)),
        voc_object("wheel", (4, 4, 4, 9)),
        voc_object("wheel", (-5, 3, 40, 13)),
        voc_object("weel", (2, 3, 11, 13)),
    ]
    (root / "Annotations/a.xml").write_bytes(voc_xml(odd))
    (root / "Annotations/b.xml").write_bytes(b"<annotation>")
    (root / "JPEGImages/c.jpg").unlink()
    Path("l.prototxt").write_text(format_label_map(label_map_of(["axle", "wheel"])))
    asked = ["prepare", "voc", "parts", "--labelmap", "l.prototxt", "--no-shuffle"]
    assert run(asked) == 0
    said = capsys.readouterr()
    assert "class 'weel' is not in the label map: 1 boxes are left out; did you mean 'wheel'?" in said.err
    rejects = Path("data/voc/rejects.txt").read_text()
    for words in (
        "a.jpg\tunknown class\t'weel' at 2,3,11,13",
        "b.jpg\tbad annotation\tparts/Annotations/b.xml:1:",
        "c.jpg\tmissing\tno image for parts/Annotations/c.xml",
        "a.jpg\tbox left out: no area",
    ):
        assert words in rejects
    split = read_manifest(Path("data/voc")).splits["train"]
    assert split.rejected == {"bad annotation": 1, "missing": 1}
    assert split.count == 3
    assert split.boxes == 2 + 2 * 2
    _, first = datums(Path("data/voc/train_lmdb"))[0]
    (group,) = first.annotation_group
    assert [each.instance_id for each in group.annotation] == [0, 1]
    assert group.annotation[1].bbox.xmin == np.float32(-5) / np.float32(23)  # outside, and kept as it is

    assert run([*asked, "--strict", "--name", "strict"]) == 5
    assert "parts/JPEGImages/b.jpg" in capsys.readouterr().err
    assert not Path("data/strict").exists()


def test_loose_folders_a_share_for_val_and_a_preview(capsys: Capture) -> None:
    root = write_own(Path("parts"))
    asked = [
        "prepare",
        "voc",
        "--images",
        f"{root}/JPEGImages",
        "--annotations",
        f"{root}/Annotations",
        "--val-fraction",
        "0.25",
    ]
    assert run([*asked, "--dry-run"]) == 0
    assert "data/voc would hold train 6, val 2; 2 classes" in capsys.readouterr().out
    assert not Path("data").exists()
    assert run([*asked, "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert {name: split["count"] for name, split in outcome["manifest"]["splits"].items()} == {
        "train": 6,
        "val": 2,
    }
    assert outcome["manifest"]["settings"]["val_fraction"] == 0.25


def test_an_interrupted_build_needs_no_annotations_to_go_on() -> None:
    stems = [f"{number:03}" for number in range(40)]
    images = {stem: [("wheel", (2, 3, 11, 13))] for stem in stems}
    root = write_tree(Path("parts"), voc_edition(images, {"train": stems[:30], "val": stems[30:]}))
    source = VocSettings(roots=(root,))
    whole = prepare(Request(source=source, settings=BuildSettings(), out_dir=Path("whole/d")), Watch())

    stopping = Watch(on_progress=lambda _: signal.raise_signal(signal.SIGINT))
    with pytest.raises(StoppedError, match=r"stopped after 16 of 30 images of 'train'.*--resume"):
        prepare(Request(source=source, settings=BuildSettings(), out_dir=Path("stopped/d")), stopping)
    for path in (root / "Annotations").iterdir():
        path.unlink()
    resumed = Request(source=source, settings=BuildSettings(resume=True), out_dir=Path("stopped/d"))
    assert prepare(resumed, Watch()).manifest == whole.manifest
    assert folder_content(Path("stopped/d")) == folder_content(Path("whole/d"))


# -- coco ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ids", "labels", "classes"), [("80", {1: 1, 18: 2, 90: 3}, 4), ("91", {1: 1, 18: 18, 90: 90}, 91)]
)
def test_coco_from_its_zips(ids: str, labels: dict[int, int], classes: int, capsys: Capture) -> None:
    train, val, annotations = coco_2017()
    write_zip(Path("train2017.zip"), train)
    write_zip(Path("val2017.zip"), val, deflated=True)
    write_zip(Path("annotations_trainval2017.zip"), annotations, deflated=True)
    assert run(["prepare", "coco", "--coco-ids", ids, "--no-shuffle"]) == 0
    assert "1 images without boxes are left out" in capsys.readouterr().err
    expected: dict[str, list[oracle.Item]] = {"train": [], "val": []}
    for split, keep_empty, files in (("train", False, train), ("val", True, val)):
        document = json.loads(annotations[f"annotations/instances_{split}2017.json"])
        for image in document["images"]:
            boxes = []
            for each in document["annotations"]:
                if each["image_id"] == image["id"]:
                    x, y, width, height = (np.float32(side) for side in each["bbox"])
                    boxes.append(
                        (labels[each["category_id"]], x, y, x + width, y + height, bool(each["iscrowd"]))
                    )
            if boxes or keep_empty:
                name = f"{split}2017/{image['file_name']}"
                expected[split].append(
                    oracle.Item(name, files[name], boxes, (image["height"], image["width"]))
                )
    for split, items in expected.items():
        assert records(Path(f"data/coco/{split}_lmdb")) == oracle.convert(items, encoding="jpg")
    assert Path("data/coco/test_name_size.txt").read_text() == "139 17 23\n285 17 23\n"  # ids, as SSD's
    manifest = read_manifest(Path("data/coco"))
    assert manifest.classes == classes
    assert manifest.class_names[labels[18]] == "dog"


def test_own_files_in_cocos_form_need_no_search(capsys: Capture) -> None:
    _, val, annotations = coco_2017()
    write_tree(Path("mine"), val | annotations)
    asked = [
        "--train-json",
        "mine/annotations/instances_val2017.json",
        "--train-images",
        "mine/val2017",
        "--keep-empty",
    ]
    assert run(["prepare", "coco", *asked, "--name", "own", "--val-fraction", "0.5"]) == 0
    manifest = read_manifest(Path("data/own"))
    assert {name: split.count for name, split in manifest.splits.items()} == {"train": 1, "val": 1}
    assert run(["dataset", "verify", "data/own"]) == 0
    capsys.readouterr()


# -- kitti --------------------------------------------------------------------------------------------

LABELS = {
    f"{number:06}": [kitti_line("Van"), kitti_line("DontCare"), kitti_line("Cyclist", (1, 2, 3.5, 4))]
    for number in range(10)
}


def test_kitti_divides_by_the_images_own_size_and_keeps_its_split(capsys: Capture) -> None:
    images, labels = kitti(LABELS)
    write_zip(Path("data/raw/data_object_image_2.zip"), images)
    write_zip(Path("data/raw/data_object_label_2.zip"), labels, deflated=True)
    assert run(["prepare", "kitti", "--encode", "png", "--no-shuffle"]) == 0
    said = capsys.readouterr()
    assert "10 DontCare regions are ignored" in said.err
    sets = {
        name: Path(f"data/kitti/ImageSets/{name}.txt").read_text().split()
        for name in ("trainval", "train", "val")
    }
    assert sets["trainval"] == sorted(LABELS) == sorted(sets["train"] + sets["val"])
    assert len(sets["val"]) == 2
    for split in ("train", "val"):
        items = [
            oracle.Item(name, images[name], [(1, 3.25, 2.5, 11.75, 13.0, False), (3, 1, 2, 3.5, 4, False)])
            for name in (f"training/image_2/{number}.png" for number in sets[split])
        ]
        assert records(Path(f"data/kitti/{split}_lmdb")) == oracle.convert(items, encoding="png")
    assert not Path("ImageSets").exists()
    names = read_manifest(Path("data/kitti")).class_names
    assert names == ("background", "Car", "Pedestrian", "Cyclist")


def test_kittis_lists_are_written_where_asked_and_come_back(capsys: Capture) -> None:
    images, labels = kitti(LABELS)
    root = write_tree(Path("kitti"), images | labels)
    assert run(["prepare", "kitti", "kitti", "--seed", "3", "--write-sets"]) == 0
    lists = {path.name: path.read_text() for path in (root / "ImageSets").iterdir()}
    assert lists == {path.name: path.read_text() for path in Path("data/kitti/ImageSets").iterdir()}
    assert run(["prepare", "kitti", "kitti", "--seed", "4", "--name", "again"]) == 0  # the lists decide now
    assert (Path("data/again") / "ImageSets/val.txt").read_text() == lists["val.txt"]

    for path in Path("data/kitti/ImageSets").iterdir():
        path.unlink()
    assert run(["prepare", "kitti", "kitti", "--seed", "3"]) == 0
    assert "was there already" in capsys.readouterr().out
    assert Path("data/kitti/ImageSets/val.txt").read_text() == lists["val.txt"]
    asked = ["prepare", "kitti", "kitti", "--seed", "5", "--val-fraction", "0.5", "--write-sets"]
    assert run([*asked, "--name", "third"]) == 2
    assert "holds another split; --force replaces it" in capsys.readouterr().err


# -- refusals -----------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[list[str], int, str]] = {
    "no voc": (
        ["voc"],
        5,
        "VOCtrainval_06-Nov-2007.tar  460,032,000 bytes  md5 c52e279531787c972589f7e41ab4ae64",
    ),
    "no coco": (["coco"], 5, "train2017.zip  19,336,861,798 bytes  md5 cced6f7f71b7629ddf16f17bbcfab6b2"),
    "no kitti": (["kitti"], 5, "data_object_image_2.zip  12,569,945,557 bytes"),
    "no such root": (["voc", "nowhere"], 5, "nowhere: no such folder or archive"),
    "no such set": (["voc", "parts", "--train-sets", "2007:minival"], 2, "there are: parts:train, parts:val"),
    "empty name": (["voc", "parts", "--train-sets", "a,,b"], 2, "expected names with commas"),
    "no label map": (["voc", "parts", "--labelmap", "none"], 5, "none: label map cannot be read"),
    "imagedata": (["voc", "parts", "--backend", "imagedata"], 2, "--backend imagedata"),
    "dims and resize": (["voc", "parts", "--min-dim", "8", "--resize", "9"], 2, "--min-dim"),
    "merge to nothing": (["kitti", "--merge-class", "Van"], 2, "--merge-class Van: expected CLASS=OTHER"),
    "two coco maps": (["coco", "--coco-ids", "91", "--labelmap", "l"], 2, "--coco-ids 91"),
    "year": (["coco", "--year", "2015"], 2, "2015"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_code_and_reason_and_nothing_left(case: str, capsys: Capture) -> None:
    write_own(Path("parts"))
    arguments, code, reason = REFUSED[case]
    assert run(["prepare", *arguments]) == code
    said = capsys.readouterr()
    assert reason in said.err
    assert said.out == ""
    assert not Path("data").exists()


def test_resizing_by_the_sides_keeps_the_boxes(capsys: Capture) -> None:
    root = write_tree(Path("one"), voc_edition({"a": [("wheel", (2, 3, 11, 13))]}, {}))
    (root / "JPEGImages/a.jpg").write_bytes(jpeg(5, height=34, width=46))
    assert run(["prepare", "voc", "one", "--max-dim", "23"]) == 0
    ((_, found),) = datums(Path("data/voc/train_lmdb"))
    assert (found.datum.height, found.datum.width) == (17, 23)
    assert found.annotation_group[0].annotation[0].bbox.xmax == np.float32(11) / np.float32(
        23
    )  # as annotated
    capsys.readouterr()
