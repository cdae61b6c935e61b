"""VOC's annotation files: XML that gives an image's size and a box for each object, in pixels.

What differs from SSD's reader (`ReadXMLToAnnotatedDatum`, util/io.cpp), which reads the same files:
  * it takes a coordinate that is no whole number for 0; here `10.6` is 10.6, and is told about;
  * it sees `difficult` only before `bndbox`, and stops where `name` is not the first; here order is free;
  * an object whose corners are missing or no numbers has a `problem` here, and zeros there.
Parts of objects (`object/part`) have boxes of their own, which both leave alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from xml.parsers import expat

from caffeflow.errors import DataError

Corners: TypeAlias = tuple[float, float, float, float]

_CORNERS: Final = ("xmin", "ymin", "xmax", "ymax")
MAX_CORNER: Final = 2.0**31
"""Corners reach no further in Caffe, whose pixels are int32; what does is damage."""

_DEEPEST: Final = 100  # tags within tags; VOC's own files have five
_MAX_DIGITS: Final = 9  # of a side
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class VocObject:
    """One object of an annotation.

    Attributes:
        name: Its class; never empty where there is no problem.
        corners: xmin, ymin, xmax and ymax as they stand; None where there is a problem.
        line: Where it begins in the file.
        problem: Why it cannot be used; empty if it can.
        is_difficult: Whether people find it hard to recognise.
        is_late: Whether `difficult` stands behind `bndbox`, where SSD's tool overlooks it.
        is_fractional: Whether a corner is no whole number, which SSD's tool takes for 0.
    """

    name: str
    corners: Corners | None
    line: int
    problem: str = ""
    is_difficult: bool = False
    is_late: bool = False
    is_fractional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VocAnnotation:
    """What an annotation file says; height and width are 0 where it does not say both."""

    objects: tuple[VocObject, ...]
    height: int
    width: int
    filename: str


def parse_voc(content: bytes, where: str) -> VocAnnotation:
    """Reads an annotation file.

    Args:
        content: Its bytes; XML says its encoding itself.
        where: What messages call the file.

    Raises:
        DataError: It is no XML (with `file:line:column`), or no annotation.
    """
    reader = _Reader(where)
    try:
        reader.parser.Parse(content, True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise DataError(f"{where}:{error.lineno}:{error.offset + 1}: is no XML ({reason})") from error
    except (LookupError, ValueError) as error:  # an encoding that expat cannot be taught
        raise DataError(f"{where}: cannot be read ({error}); save it as UTF-8") from error
    return reader.annotation()


@dataclass
class _Object:
    """An object that is being read."""

    line: int
    texts: dict[str, str] = field(default_factory=dict)
    is_late: bool = False


class _Reader:
    """Notes the texts that matter as expat comes by them."""

    def __init__(self, where: str) -> None:
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.EntityDeclHandler = self._refuse_entities
        self._where = where
        self._path: list[str] = []
        self._pieces: list[str] = []
        self._texts: dict[str, str] = {}
        self._object: _Object | None = None
        self._objects: list[VocObject] = []

    def annotation(self) -> VocAnnotation:
        """Returns what was read."""
        height, width = (_whole(self._texts.get(f"size/{side}", "")) for side in ("height", "width"))
        is_known = height > 0 and width > 0
        return VocAnnotation(
            objects=tuple(self._objects),
            height=height if is_known else 0,
            width=width if is_known else 0,
            filename=self._texts.get("filename", ""),
        )

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        self._path.append(name)
        if len(self._path) > _DEEPEST:
            raise DataError(
                f"{self._where}:{self.parser.CurrentLineNumber}: is nested too deeply for an annotation; do"
                " not use this file"
            )
        self._pieces.clear()
        if len(self._path) == 1 and name != "annotation":
            raise DataError(
                f"{self._where}:{self.parser.CurrentLineNumber}: is no annotation of VOC's form: begins with "
                f"<{name}>, expected <annotation>"
            )
        if self._path == ["annotation", "object"]:
            self._object = _Object(self.parser.CurrentLineNumber)

    def _text(self, text: str) -> None:
        self._pieces.append(text)

    def _end(self, _name: str) -> None:
        text = "".join(self._pieces).strip()
        self._pieces.clear()
        place = "/".join(self._path[1:])
        self._path.pop()
        if self._object is None:
            self._texts.setdefault(place, text)
        elif place == "object":
            self._objects.append(_finished(self._object))
            self._object = None
        else:
            inside = place.removeprefix("object/")
            if inside == "difficult":
                self._object.is_late = "bndbox" in self._object.texts
            self._object.texts[inside] = text

    def _refuse_entities(self, *_: object) -> None:
        raise DataError(f"{self._where}: declares entities, which no annotation needs; do not use this file")


def _finished(found: _Object) -> VocObject:
    """Returns an object as its texts say, or what is wrong with it."""
    name = found.texts.get("name", "")
    texts = [found.texts.get(f"bndbox/{corner}", "") for corner in _CORNERS]
    is_difficult = found.texts.get("difficult") == "1"
    if not name:
        return VocObject(name="", corners=None, line=found.line, problem="no name")
    if "bndbox" not in found.texts:
        return VocObject(name=name, corners=None, line=found.line, problem="no bndbox")
    for corner, text in zip(_CORNERS, texts, strict=True):
        if not _NUMBER.fullmatch(text) or abs(float(text)) >= MAX_CORNER:
            return VocObject(name=name, corners=None, line=found.line, problem=f"{corner} is '{text}'")
    xmin, ymin, xmax, ymax = map(float, texts)
    return VocObject(
        name=name,
        corners=(xmin, ymin, xmax, ymax),
        line=found.line,
        is_difficult=is_difficult,
        is_late=is_difficult and found.is_late,
        is_fractional=not all(text.lstrip("+-").isdecimal() for text in texts),
    )


def _whole(text: str) -> int:
    """Returns a side as a number; 0 where it is none, so that the image's own is taken."""
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else 0
