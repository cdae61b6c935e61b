"""KITTI's label files."""

from __future__ import annotations

import pytest

from caffeflow.data.kitti_text import CLASSES, KittiObject, parse_kitti
from caffeflow.errors import DataError
from tests.support.detection_files import kitti_line


def test_the_box_is_the_fifth_to_eighth_word() -> None:
    text = kitti_line("Car", (1.5, 2.25, 30, 41.125)) + "\n" + kitti_line("DontCare", (-1, 0, 3, 4))
    assert parse_kitti(text.encode(), "0.txt") == (
        KittiObject(name="Car", corners=(1.5, 2.25, 30, 41.125), line=1),
        KittiObject(name="DontCare", corners=(-1, 0, 3, 4), line=3),
    )
    assert len(CLASSES) == 8


def test_a_score_behind_and_windows_line_ends_do_no_harm() -> None:
    text = kitti_line("Tram").strip() + " 0.97\r\n" + kitti_line("Misc").strip() + "\r\n"
    assert [found.name for found in parse_kitti(text.encode(), "0.txt")] == ["Tram", "Misc"]


def test_an_empty_file_is_an_image_without_objects() -> None:
    assert parse_kitti(b"", "0.txt") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (kitti_line("Car") + "Car 0 0 1 2 3\n", r"0\.txt:2: has 6 words, expected 15"),
        (kitti_line("Car", ("a", 2, 3, 4)), r"0\.txt:1: the box is 'a 2 3 4'; expected four numbers"),
        (kitti_line("Car", ("nan", 2, 3, 4)), r"0\.txt:1: the box is 'nan 2 3 4'.*pixels"),
        ("{}", r"0\.txt:1: has 1 words"),
    ],
)
def test_a_line_that_does_not_read_is_named(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_kitti(text.encode(), "0.txt")
