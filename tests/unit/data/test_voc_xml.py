"""VOC's annotation files: what is read of them, and where a fault is said to be."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from caffeflow.data.voc_xml import VocObject, parse_voc
from caffeflow.errors import DataError
from tests.support.detection_files import voc_object, voc_xml

BOX = (3, 5, 7, 11)


def only(content: bytes) -> VocObject:
    (found,) = parse_voc(content, "a.xml").objects
    return found


def test_objects_and_size_are_what_the_standard_librarys_tree_says() -> None:
    objects = [
        voc_object("dog", (3, 5, 7, 11)),
        voc_object("big cat", (2, 1, 23, 17), difficult=1),
        voc_object("dog", (1, 1, 2, 2)),
    ]
    content = voc_xml(objects, (17, 23), head='<?xml version="1.0"?>\n')
    found = parse_voc(content, "a.xml")
    root = ElementTree.fromstring(content)  # noqa: S314 - written above
    expected = [
        (
            each.findtext("name"),
            tuple(float(each.findtext(f"bndbox/{side}") or "x") for side in ("xmin", "ymin", "xmax", "ymax")),
            each.findtext("difficult") == "1",
        )
        for each in root.iter("object")
    ]
    assert [(each.name, each.corners, each.is_difficult) for each in found.objects] == expected
    assert len(expected) == 3
    assert (found.height, found.width) == (17, 23)
    assert not any(each.is_late or each.is_fractional or each.problem for each in found.objects)


def test_an_object_knows_its_line() -> None:
    content = voc_xml([voc_object("dog", BOX), voc_object("cat", BOX)])
    lines = content.decode().splitlines()
    expected = [number for number, line in enumerate(lines, 1) if line == "<object>"]
    assert [each.line for each in parse_voc(content, "a.xml").objects] == expected


def test_difficult_counts_behind_the_box_too_and_is_told() -> None:
    order = ("bndbox", "difficult", "name")
    late = only(voc_xml([voc_object("dog", BOX, difficult=1, order=order)]))
    assert late.is_difficult
    assert late.is_late
    easy = only(voc_xml([voc_object("dog", BOX, difficult=0, order=order)]))
    assert not easy.is_difficult
    assert not easy.is_late


def test_boxes_of_parts_are_left_alone() -> None:
    part = "<part><name>head</name><bndbox><xmin>90</xmin><ymin>91</ymin><xmax>92</xmax><ymax>93</ymax></bndbox></part>"
    found = only(voc_xml([voc_object("person", BOX, extra=part)]))
    assert (found.name, found.corners) == ("person", BOX)


@pytest.mark.parametrize(
    ("texts", "corners", "is_fractional"),
    [
        (("10.6", "5", "20.25", "7"), (10.6, 5, 20.25, 7), True),
        ((" 3 ", "+5", "7", "\n11\n"), BOX, False),
        (("-3", "5", "7", "11"), (-3, 5, 7, 11), False),
        (("1e1", "5", "70", "11"), (10, 5, 70, 11), True),
    ],
)
def test_numbers_are_read_as_numbers(
    texts: tuple[str, ...], corners: tuple[float, ...], is_fractional: bool
) -> None:
    found = only(voc_xml([voc_object("dog", texts)]))
    assert found.corners == corners
    assert found.is_fractional == is_fractional


PROBLEMS: dict[str, tuple[str, str]] = {
    "no name": (voc_object("", BOX), "no name"),
    "no box": (voc_object("dog", BOX, order=("name", "pose")), "no bndbox"),
    "a corner is missing": (voc_object("dog", (3, None, 7, 11)), "ymin is ''"),
    "a word": (voc_object("dog", (3, 5, "wide", 11)), "xmax is 'wide'"),
    "nan": (voc_object("dog", (3, 5, 7, "nan")), "ymax is 'nan'"),
    "infinite": (voc_object("dog", ("1e999", 5, 7, 11)), "xmin is '1e999'"),
    "too far": (voc_object("dog", (3, 5, 7, "1e12")), "ymax is '1e12'"),
    "underscore": (voc_object("dog", ("1_0", 5, 7, 11)), "xmin is '1_0'"),
}


@pytest.mark.parametrize("case", PROBLEMS)
def test_an_object_without_a_box_says_why(case: str) -> None:
    text, problem = PROBLEMS[case]
    found = only(voc_xml([text]))
    assert found.corners is None
    assert found.problem == problem


@pytest.mark.parametrize(
    "size", [None, (0, 0), (17, 0), ("", 23), ("17.5", "23"), (-17, 23), ("9" * 5000, 23)]
)
def test_a_size_that_is_none_is_not_known(size: tuple[object, object] | None) -> None:
    found = parse_voc(voc_xml([], size), "a.xml")
    assert (found.height, found.width) == (0, 0)


def test_names_come_in_the_encoding_that_the_file_names() -> None:
    content = voc_xml([voc_object("Löwe", BOX)], head='<?xml version="1.0" encoding="ISO-8859-1"?>\n')
    assert only(content.decode().encode("latin-1")).name == "Löwe"
    assert only(voc_xml([voc_object("猫", BOX)])).name == "猫"


REFUSED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", r"a\.xml:1:1: is no XML \(no element found\)"),
    "mismatched": (b"<annotation>\n<object>\n</annotation>", r"a\.xml:3:3: is no XML \(mismatched tag\)"),
    "cut off": (voc_xml([voc_object("dog", BOX)])[:60], r"a\.xml:2:43: is no XML \(unclosed token\)"),
    "another form": (b"<html>\n</html>", r"a\.xml:1: is no annotation .* begins with <html>"),
    "json": (b'{"a": 1}', r"a\.xml:1:1: is no XML"),
    "entities": (
        b'<!DOCTYPE annotation [<!ENTITY a "aaaa">]>\n<annotation>&a;</annotation>',
        "declares entities",
    ),
    "deep": (b"<annotation>\n" + b"<a>" * 100, r"a\.xml:2: is nested too deeply"),
    "unknown encoding": (
        b'<?xml version="1.0" encoding="martian"?><annotation/>',
        r"a\.xml.* (cannot be read|is no XML).*",
    ),
    "wide encoding": (
        b'<?xml version="1.0" encoding="gbk"?><annotation/>',
        r"a\.xml.*(cannot be read|is no XML)",
    ),
    "not in its encoding": (b"<annotation>\n<name>\xff\xfe</name></annotation>", r"a\.xml:2:\d+: is no XML"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_annotation_is_refused_with_its_place(case: str) -> None:
    content, message = REFUSED[case]
    with pytest.raises(DataError, match=message):
        parse_voc(content, "a.xml")
