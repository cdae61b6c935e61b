"""Pictures with text below."""

from __future__ import annotations

import numpy as np

from caffeflow.data.captions import Captioned, picture_of, sheet_of, with_lines_below


def inked_rows(picture: np.ndarray) -> int:
    """Returns how many separate rows of text there are."""
    dark = (picture < 128).all(axis=2).any(axis=1)
    return int((dark[1:] & ~dark[:-1]).sum())


def test_lines_stand_below_and_the_picture_stays() -> None:
    picture = np.full((300, 400, 3), 200, np.uint8)
    made = with_lines_below(picture, ["AB", "CD", "EF"])
    np.testing.assert_array_equal(made[:300, :400], picture)
    assert inked_rows(made[300:]) == 3


def test_a_long_line_makes_the_picture_wider() -> None:
    made = with_lines_below(np.full((300, 300, 3), 200, np.uint8), ["W" * 60])
    assert made.shape[1] > 400
    assert (made[:300, 300:] == 255).all()
    assert (made[:, -4:] == 255).all()


def test_small_gray_pictures_are_enlarged_by_whole_pixels() -> None:
    made = with_lines_below(np.array([[0, 255, 0], [255, 0, 255]], np.uint8), [])
    assert made.shape[1] == 225
    np.testing.assert_array_equal(made[37:150:75, 37:225:75, 0], [[0, 255, 0], [255, 0, 255]])


def test_a_sheet_has_a_place_for_each() -> None:
    tiles = [
        Captioned(np.full((20, 10 + 3 * number, 3), 30 * number, np.uint8), ("HH", "H" * 99))
        for number in range(7)
    ]
    sheet = sheet_of(tiles, cell=50)
    columns, rows = 3, 3
    wide, high = (sheet.shape[1] - 8) // columns, (sheet.shape[0] - 8) // rows
    for place in range(7):
        top, left = place // columns * high + 8, place % columns * wide + 8
        assert sheet[top + 25, left + 25].tolist() == [30 * place] * 3
        below = sheet[top + 50 : top + high - 8, left : left + wide]
        assert inked_rows(below) >= 2
        assert (below[:, 50:] == 255).all(), "a long line is cut to its cell"
    assert (sheet[-high:, -wide:] == 255).all()


def test_planes_become_a_picture_whatever_they_hold() -> None:
    assert picture_of(np.full((1, 2, 3), 300.0, np.float32)).tolist() == [[[255] * 3] * 3] * 2
    four = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((4, 2, 3), np.uint8)
    assert picture_of(four)[0, 0].tolist() == [0, 1, 2]
