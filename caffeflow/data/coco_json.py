"""Annotation files in COCO's form: one JSON file about all images, read piece by piece.

`instances_train2017.json` has 450 MB, and as Python's objects it would take five times that. Here the three
arrays that matter are walked an element at a time, and of an element only what makes a box is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from caffeflow.data.voc_xml import MAX_CORNER, Corners
from caffeflow.errors import DataError

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_TELL_EVERY: Final = 1 << 16  # elements
_BOX_SIDES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoObject:
    """One annotation: `corners` are None, and `problem` says why, where its box cannot be used."""

    category: int
    corners: Corners | None
    is_crowd: bool
    problem: str = ""


@dataclass(slots=True, kw_only=True)
class CocoImage:
    """One image, and its objects in the file's order; height and width are 0 where it does not say both."""

    id: int
    file_name: str
    height: int
    width: int
    objects: list[CocoObject] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class CocoFile:
    """A whole file; images in the file's order.

    Attributes:
        categories: Name of each category id, rising.
        images: Those that have no annotation too.
        strays: Annotations of images that the file does not list.
    """

    categories: dict[int, str]
    images: list[CocoImage]
    strays: int


def parse_coco(
    content: bytes, where: str, *, on_chars: Callable[[int, int], None] = lambda _done, _total: None
) -> CocoFile:
    """Reads an annotation file.

    Args:
        content: Its bytes.
        where: What messages call the file.
        on_chars: Hears from time to time how many characters are done, and of how many.

    Raises:
        DataError: It is no JSON (with `file:line:column`), or not of COCO's form.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: is not UTF-8 text, and so no JSON ({error.reason})") from error
    found = _Collector(where)
    try:
        for key, element, at in _elements(text):
            found.add(key, element)
            if found.count % _TELL_EVERY == 0:
                on_chars(at, len(text))
    except json.JSONDecodeError as error:
        raise DataError(f"{where}:{error.lineno}:{error.colno}: is no JSON ({error.msg})") from error
    except ValueError as error:  # a whole number of thousands of digits
        raise DataError(f"{where}: holds a number that no annotation has ({error}); do not use it") from error
    except RecursionError as error:
        raise DataError(f"{where}: is nested too deeply for an annotation file; do not use it") from error
    return found.file()


class _Collector:
    """Keeps what matters of the elements; annotations may come before their images."""

    def __init__(self, where: str) -> None:
        self.count = 0
        self._where = where
        self._seen: set[str] = set()
        self._categories: dict[int, str] = {}
        self._images: dict[int, CocoImage] = {}
        self._objects: dict[int, list[CocoObject]] = {}
        self._add = {"images": self._image, "annotations": self._annotation, "categories": self._category}

    def add(self, key: str, element: Any) -> None:
        """Takes an element of an array in; None stands for the array itself."""
        self._seen.add(key)
        if element is None or key not in self._add:
            return
        self.count += 1
        try:
            self._add[key](element)
        except (KeyError, TypeError, ValueError, OverflowError, IndexError, AttributeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise DataError(
                f"{self._where}: '{key}' has an element that is not of COCO's form ({reason}): "
                f"{json.dumps(element)[:120]}"
            ) from error

    def file(self) -> CocoFile:
        """Returns all of it.

        Raises:
            DataError: An array is missing, or there is no category.
        """
        missing = [key for key in self._add if key not in self._seen]
        if missing or not self._categories:
            what = f"'{missing[0]}' is missing" if missing else "'categories' is empty"
            raise DataError(
                f"{self._where}: {what}; expected COCO's form, an object with the arrays images, annotations "
                "and categories, such as instances_train2017.json"
            )
        for number, image in self._images.items():
            image.objects = self._objects.pop(number, [])
        return CocoFile(
            categories=dict(sorted(self._categories.items())),
            images=list(self._images.values()),
            strays=sum(map(len, self._objects.values())),
        )

    def _category(self, element: dict[str, Any]) -> None:
        self._categories[int(element["id"])] = str(element["name"])

    def _image(self, element: dict[str, Any]) -> None:
        number = int(element["id"])
        if number in self._images:
            raise DataError(f"{self._where}: image id {number} is there twice; each may occur once")
        height, width = (int(element.get(side) or 0) for side in ("height", "width"))
        is_known = height > 0 and width > 0
        self._images[number] = CocoImage(
            id=number,
            file_name=str(element["file_name"]),
            height=height if is_known else 0,
            width=width if is_known else 0,
        )

    def _annotation(self, element: dict[str, Any]) -> None:
        corners, problem = _corners(element.get("bbox"))
        found = CocoObject(
            category=int(element["category_id"]),
            corners=corners,
            is_crowd=bool(element.get("iscrowd", 0)),
            problem=problem,
        )
        self._objects.setdefault(int(element["image_id"]), []).append(found)


def _corners(bbox: Any) -> tuple[Corners | None, str]:
    """Returns the corners of [x, y, width, height], or why there are none."""
    if not isinstance(bbox, list) or len(bbox) != _BOX_SIDES:
        return None, f"bbox is {json.dumps(bbox)}"
    if not all(isinstance(side, int | float) and abs(side) < MAX_CORNER for side in bbox):
        return None, f"bbox is {json.dumps(bbox)}"
    x, y, width, height = map(np.float32, bbox)  # Caffe: util/io.cpp adds in float32
    return (float(x), float(y), float(x + width), float(y + height)), ""


def _elements(text: str) -> Iterator[tuple[str, Any, int]]:
    """Yields the elements of the outermost object's arrays: key, element, and where it ends.

    Of each array, and of each value that is none, comes first one time None.
    """
    decoder = json.JSONDecoder()
    at = _expect(text, _skip(text, 0), "{")
    while text[at : at + 1] != "}":
        key, at = decoder.raw_decode(text, at)
        at = _expect(text, _skip(text, at), ":")
        yield str(key), None, at
        if text[at : at + 1] != "[":
            _, at = decoder.raw_decode(text, at)
        else:
            at = _skip(text, at + 1)
            while text[at : at + 1] != "]":
                element, at = decoder.raw_decode(text, at)
                yield str(key), element, at
                at = _next(text, at, "]")
            at += 1
        at = _next(text, at, "}")
    rest = _skip(text, at + 1)
    if rest != len(text):
        raise json.JSONDecodeError("Extra data", text, rest)


def _next(text: str, at: int, end: str) -> int:
    """Returns where the next element begins, or the end mark lies."""
    at = _skip(text, at)
    return at if text[at : at + 1] == end else _expect(text, at, ",")


def _expect(text: str, at: int, mark: str) -> int:
    if text[at : at + 1] != mark:
        raise json.JSONDecodeError(f"Expecting '{mark}'", text, at)
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
