"""What the benchmarks' figures rest on: turns, medians, processes measured from outside, photos like photos."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import pytest

from benchmarks.measure import Sample, run_process, take_turns
from benchmarks.page import Goal, Row, Section
from benchmarks.photos import make_photos, make_picture


def test_sides_take_turns_in_changing_order() -> None:
    order: list[str] = []

    def side(name: str) -> float:
        order.append(name)
        return float(len(order))

    samples = take_turns({"a": lambda: side("a"), "b": lambda: side("b")}, repeats=3)
    assert "".join(order) == "abbaab"
    assert samples["a"].values == (1.0, 4.0, 5.0)
    assert samples["b"].median == 3.0


def test_a_sample_shows_its_median_and_range() -> None:
    assert Sample((0.0124, 0.0101, 0.0207)).show("ms", scale=1000) == "12.4 ms (10.1 to 20.7)"


def test_a_process_is_measured_without_the_memory_of_this_one() -> None:
    ballast = bytearray(300 << 20)
    small = run_process([sys.executable, "-I", "-S", "-c", "pass"])
    large = run_process([sys.executable, "-I", "-S", "-c", "b'x' * (100 << 20)"])
    assert small.peak_bytes < 100 << 20 < large.peak_bytes < len(ballast)
    assert 0 < small.seconds < 60


def test_a_process_that_fails_is_no_measurement() -> None:
    with pytest.raises(AssertionError, match="ended with 3"):
        run_process([sys.executable, "-I", "-S", "-c", "raise SystemExit(3)"])


@pytest.mark.parametrize(("goal", "value", "is_met"), [
    (Goal(at_least=2), 2.0, True), (Goal(at_least=2), 1.99, False),
    (Goal(at_most=0.05), 0.05, True), (Goal(at_most=0.05), 0.051, False),
])  # fmt: skip
def test_goals(goal: Goal, value: float, is_met: bool) -> None:
    assert goal.is_met(value) is is_met
    assert ("**missed**" in Row(what="x", ours="1", value=value, goal=goal).cells()[-1]) is not is_met


def test_a_section_is_a_markdown_table() -> None:
    section = Section(title="t", value_is="ratio", rows=[Row(what="x", ours="1 s", value=1.5)], notes=["n"])
    lines = section.markdown().splitlines()
    assert lines[0] == "## t"
    assert {line.count("|") for line in lines if line.startswith("|")} == {7}
    assert lines[-1] == "* n"


def test_photos_are_like_those_of_imagenet_and_come_out_the_same() -> None:
    photos = make_photos(5)
    assert 75 < photos.mean_kilobytes < 130
    assert cv2.imread(str(photos.root / "0001.jpg")).shape == (500, 375, 3)
    assert (make_picture(3, 61, 83) == make_picture(3, 61, 83)).all()
    assert make_photos(5) == photos


def test_lists_go_over_all_classes(tmp_path: Path) -> None:
    lines = make_photos(5).write_list(tmp_path / "list.txt", times=4, classes=10).read_text().splitlines()
    assert len(lines) == 20
    assert lines[0] == "0000.jpg 0"
    assert lines[-1] == "0004.jpg 9"
