"""Files of detection data sets as their publishers lay them out, in folders, tars and zips; small, synthetic."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.imagenet import tar_bytes
from tests.support.mixed_images import file_bytes, picture

Files = dict[str, bytes]
VocObjects = Sequence[tuple[str, tuple[object, object, object, object]]]

VOC_ORDER = ("name", "pose", "truncated", "difficult", "bndbox")


def write_tree(root: Path, files: Files) -> Path:
    """Writes files by their names below `root`."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def write_tar(path: Path, files: Files) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tar_bytes(files))
    return path


def write_zip(path: Path, files: Files, *, deflated: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    method = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", method) as archive:
        for folder in sorted({name.rpartition("/")[0] for name in files if "/" in name}):
            archive.writestr(f"{folder}/", b"")  # as zips of folders have them
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def jpeg(number: int, *, height: int = 17, width: int = 23) -> bytes:
    return file_bytes(picture(number, height=height, width=width), "jpg")


def png(number: int, *, height: int = 17, width: int = 23) -> bytes:
    return file_bytes(picture(number, height=height, width=width), "png")


# -- VOC ----------------------------------------------------------------------------------------------


def voc_object(
    name: str,
    corners: Sequence[object],
    *,
    difficult: object = 0,
    order: Sequence[str] = VOC_ORDER,
    extra: str = "",
) -> str:
    """Returns an <object>, its children in the given order."""
    sides = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
    bndbox = "".join(f"<{side}>{value}</{side}>" for side, value in sides if value is not None)
    texts = {"name": name, "pose": "Left", "truncated": "1", "difficult": str(difficult), "bndbox": bndbox}
    return "<object>\n" + "".join(f"  <{tag}>{texts[tag]}</{tag}>\n" for tag in order) + f"{extra}</object>\n"


def voc_xml(objects: Sequence[str], size: tuple[object, object] | None = (17, 23), head: str = "") -> bytes:
    """Returns an annotation file; `size` is height and width."""
    sides = "" if size is None else f"<size><width>{size[1]}</width><height>{size[0]}</height></size>\n"
    return f"{head}<annotation>\n{sides}{''.join(objects)}</annotation>\n".encode()


def voc_edition(
    images: Mapping[str, Sequence[tuple[str, Sequence[object]]]],
    sets: Mapping[str, Sequence[str]],
    *,
    first: int = 0,
) -> Files:
    """Returns the files of an edition: `images` has each image's (class, corners), `sets` the stems of each set."""
    files: Files = {}
    for number, (stem, objects) in enumerate(images.items(), start=first):
        files[f"JPEGImages/{stem}.jpg"] = jpeg(number)
        files[f"Annotations/{stem}.xml"] = voc_xml([voc_object(name, corners) for name, corners in objects])
    for name, stems in sets.items():
        files[f"ImageSets/Main/{name}.txt"] = "".join(f"{stem}\n" for stem in stems).encode()
    return files


def below(folder: str, files: Files) -> Files:
    return {f"{folder}/{name}": content for name, content in files.items()}


def voc_devkit() -> tuple[Files, Files, Files]:
    """Returns the three archives: VOC2007's trainval and test, and VOC2012's trainval, two images each."""
    box = (2, 3, 11, 13)
    trainval = voc_edition(
        {"000005": [("dog", box), ("cat", box)], "000007": [("dog", box)]},
        {"trainval": ["000005", "000007"], "train": ["000005"], "val": ["000007"]},
    )
    test = voc_edition(
        {"000001": [("person", box)], "000002": [("cat", box)]}, {"test": ["000001", "000002"]}, first=7
    )
    later = voc_edition(
        {"2008_000002": [("sofa", box)], "2008_000003": [("dog", box)]},
        {"trainval": ["2008_000003", "2008_000002"], "train": ["2008_000003"], "val": ["2008_000002"]},
        first=11,
    )
    return (
        below("VOCdevkit/VOC2007", trainval),
        below("VOCdevkit/VOC2007", test),
        below("VOCdevkit/VOC2012", later),
    )


# -- COCO ---------------------------------------------------------------------------------------------


def coco_json(
    images: Mapping[int, str],
    annotations: Sequence[Mapping[str, object]],
    categories: Mapping[int, str],
    *,
    size: tuple[int, int] = (17, 23),
) -> bytes:
    """Returns a file in COCO's form, with the parts that nobody needs."""
    document = {
        "info": {"year": 2017, "contributor": "nobody [really]"},
        "licenses": [{"id": 1, "name": 'with "quotes" and {braces}'}],
        "images": [
            {"license": 1, "id": number, "file_name": name, "height": size[0], "width": size[1]}
            for number, name in images.items()
        ],
        "annotations": [
            {"id": number, "segmentation": [[1.5, 2, 3, 4]], "area": 7, "iscrowd": 0, **annotation}
            for number, annotation in enumerate(annotations)
        ],
        "categories": [
            {"supercategory": "thing", "id": number, "name": name} for number, name in categories.items()
        ],
    }
    return json.dumps(document).encode()


COCO_SOME = {1: "person", 18: "dog", 90: "toothbrush"}


def coco_2017() -> tuple[Files, Files, Files]:
    """Returns what the three archives of COCO 2017 hold, of three and two images."""
    train = {f"train2017/{number:012}.jpg": jpeg(number) for number in (9, 25, 30)}
    val = {f"val2017/{number:012}.jpg": jpeg(number) for number in (139, 285)}
    boxes = [
        {"image_id": 25, "category_id": 18, "bbox": [1.3, 2.2, 3.1, 4.4]},
        {"image_id": 9, "category_id": 90, "bbox": [0, 0, 5, 7], "iscrowd": 1},
        {"image_id": 25, "category_id": 1, "bbox": [2, 3, 7, 5]},
    ]
    names = {number: f"{number:012}.jpg" for number in (9, 25, 30)}
    val_names = {number: f"{number:012}.jpg" for number in (139, 285)}
    annotations = {
        "annotations/instances_train2017.json": coco_json(names, boxes, COCO_SOME),
        "annotations/instances_val2017.json": coco_json(
            val_names, [{"image_id": 285, "category_id": 1, "bbox": [3, 2, 5, 7]}], COCO_SOME
        ),
        "annotations/captions_val2017.json": b"not read",
    }
    return train, val, annotations


# -- KITTI --------------------------------------------------------------------------------------------


def kitti_line(name: str, corners: Sequence[object] = (3.25, 2.5, 11.75, 13.0)) -> str:
    box = " ".join(map(str, corners))
    return f"{name} 0.00 0 -1.57 {box} 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n"


def kitti(labels: Mapping[str, Sequence[str]]) -> tuple[Files, Files]:
    """Returns images and labels of the numbers in `labels`, below `training/`."""
    images = {f"training/image_2/{stem}.png": png(number) for number, stem in enumerate(labels)}
    texts = {f"training/label_2/{stem}.txt": "".join(lines).encode() for stem, lines in labels.items()}
    return images, texts
