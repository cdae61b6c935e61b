"""What a build may be asked for, and which of it decides the dataset."""

from __future__ import annotations

import json

import pytest

from caffeflow.data.settings import BuildSettings
from caffeflow.errors import UsageError


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"resize": (3, 4), "short_side": 5}, "--resize, --short-side and"),
        ({"backend": "imagedata", "encode": "raw"}, "found raw"),
        ({"resume": True, "force": True}, "--resume goes on"),
        ({"limit": 0}, "--limit is 0"),
        ({"workers": -1}, "--workers is -1"),
        ({"short_side": 0}, "--short-side is 0"),
        ({"resize": (0, 4)}, "--resize is 0x4"),
    ],
)
def test_contradictions_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        BuildSettings(**wrong)


def test_how_to_work_does_not_decide_what_is_made() -> None:
    one = BuildSettings(workers=1, strict=True, resume=True, resize=(7, 5)).lasting()
    other = BuildSettings(workers=9, force=True, resize=(7, 5)).lasting()
    assert one == other == json.loads(json.dumps(one))
    assert BuildSettings(seed=1).lasting() != BuildSettings(seed=2).lasting()


@pytest.mark.parametrize(
    ("asked", "backend", "sizes", "expected"),
    [
        ("auto", "lmdb", [(64, 64), (3, 5)], "raw"),
        ("auto", "lmdb", [(64, 64), (3, 65)], "jpg"),
        ("auto", "lmdb", [], "jpg"),
        ("auto", "imagedata", [(64, 64)], "png"),
        ("auto", "imagedata", [(65, 64)], "jpg"),
        ("raw", "lmdb", [(500, 500)], "raw"),
        ("png", "lmdb", [(500, 500)], "png"),
        ("jpg", "lmdb", [(5, 5)], "jpg"),
    ],
)
def test_auto_goes_by_the_size(asked: str, backend: str, sizes: list[tuple[int, int]], expected: str) -> None:
    assert BuildSettings(encode=asked, backend=backend).encoding_for(sizes) == expected
