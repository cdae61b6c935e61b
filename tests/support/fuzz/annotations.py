"""Lists and annotations that other tools wrote: window files, image lists, name sizes, VOC, COCO, KITTI."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from caffeflow.data.coco_json import parse_coco
from caffeflow.data.kitti_text import parse_kitti
from caffeflow.data.readers.image_list import read_image_list
from caffeflow.data.readers.window_file import read_window_file
from caffeflow.data.voc_xml import parse_voc
from caffeflow.proto.name_sizes import read_name_sizes
from tests.support.fuzz.mutations import bytes_near
from tests.support.fuzz.target import Target, of_files

_WORDS: Final[Sequence[bytes]] = (
    b" ", b"\n", b"\r", b"\t", b"\0", b"-1", b"0", b"9" * 30, b"9" * 5000, b"1e999", b"nan", b"-inf", b"1_0", b"0x10",
    b"1.5", b"#", b"\xff\xfe", "\N{ARABIC-INDIC DIGIT THREE}".encode(), "\N{SUPERSCRIPT TWO}".encode(), b"\xc2\x85",
)  # fmt: skip
_XML: Final[Sequence[bytes]] = (
    b"<object>", b"</object>", b"<bndbox>", b"<a>" * 1000, b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"&b;", b"&#0;", b"<![CDATA[",
    b"<?xml version='1.0' encoding='utf-16'?>", b"<?xml version='1.0' encoding='x'?>", b"<xmin>", b"</xmin>",
)  # fmt: skip
_JSON: Final[Sequence[bytes]] = (
    b"[" * 3000, b"{", b"}", b"]", b",", b":", b"null", b"true", b"NaN", b"Infinity", b"-Infinity", b'"\\ud800"', b'"id":',
    b'"bbox": [1, 2, 3]', b"[]", b"{}", b'"',
)  # fmt: skip

_WINDOWS: Final = (
    b"# 0\na.jpg\n3\n37\n50\n2\n7 0.83 2 3 20 18\n0 0.12 5 5 6 9\n# 1\nb.jpg\n3 5 7\n1\n1 0.5 0 0 4 4\n"
)
_VOC: Final = (
    b"<annotation><filename>a.jpg</filename><size><width>7</width><height>5</height></size>"
    b"<object><name>dog</name><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>2</ymin>"
    b"<xmax>3.5</xmax><ymax>4e0</ymax></bndbox><part><name>head</name></part></object></annotation>"
)
_COCO: Final = (
    b'{"info": {"a": 1}, "images": [{"id": 1, "file_name": "a.jpg", "height": 5, "width": 7}], "annotations": '
    b'[{"image_id": 1, "category_id": 3, "bbox": [1, 2.5, 3, 1], "iscrowd": 0}], "categories": [{"id": 3, "name": "c"}]}'
)
_KITTI: Final = b"Car 0.00 0 -1.58 5.1 1.7 6.1 2.0 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\nDontCare -1 -1 -10 5 1 6 2 -1 -1 -1 -1000 -1000 -1000 -10\n"  # fmt: skip


def _read_windows(path: Path) -> None:
    read_window_file(path, least_overlap=0.5, background_overlap=0.5)


def _read_list(path: Path) -> None:
    entries = read_image_list(path)
    for index in range(len(entries)):
        entries.name(index)


TARGETS: Final = (
    of_files("window file", bytes_near([_WINDOWS], _WORDS), _read_windows, "w.txt"),
    of_files("image list", bytes_near([b"a b.jpg 3\nc.jpg -1\n\nd/e.png 7"], _WORDS), _read_list, "l.txt"),
    of_files("name sizes", bytes_near([b"000001 5 7\n000002 30 20\n"], _WORDS), read_name_sizes, "n.txt"),
    Target(
        name="VOC annotation",
        inputs=bytes_near([_VOC], (*_XML, *_WORDS)),
        check=lambda content: parse_voc(content, "a.xml"),
    ),
    Target(
        name="COCO annotation",
        inputs=bytes_near([_COCO], (*_JSON, *_WORDS)),
        check=lambda content: parse_coco(content, "a.json"),
    ),
    Target(
        name="KITTI label",
        inputs=bytes_near([_KITTI], _WORDS),
        check=lambda content: parse_kitti(content, "a.txt"),
    ),
)
