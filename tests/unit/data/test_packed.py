"""Packed job lists behave as lists of jobs."""

from __future__ import annotations

import sys
from array import array
from pathlib import Path

import pytest

from caffeflow.data.boxes import Annotation, Box
from caffeflow.data.packed import FileJobs, MemberJobs, PixelJobs
from caffeflow.data.sample import NO_LABEL, File, Job, Member, Pixels

NAMES = ["a/ä.jpg", "", "b/x y.png", "c"]


def test_files_by_index_slice_and_iteration() -> None:
    jobs = FileJobs(Path("/root"))
    for label, name in enumerate(NAMES):
        jobs.add(name, label * 7)
    expected = [
        Job(name=name, label=label * 7, location=File(Path("/root") / name))
        for label, name in enumerate(NAMES)
    ]
    assert list(jobs) == expected
    assert jobs[-1] == expected[-1]
    assert jobs[1:3] == expected[1:3]
    assert jobs[::-2] == expected[::-2]
    assert list(jobs.labels) == [0, 7, 14, 21]
    with pytest.raises(IndexError):
        jobs[4]


def test_members_of_several_archives() -> None:
    jobs = MemberJobs()
    members = [
        Member(Path("/x"), 2**40, 3),
        Member(Path("/y"), 5, 7),
        Member(Path("/y"), 11, 0),
        Member(Path("/x"), 1, 1),
    ]
    for member in members:
        jobs.add("n", 0, member)
    assert [job.location for job in jobs] == members


def test_pixels_of_several_files() -> None:
    jobs = PixelJobs(channels=3, height=5, width=7)
    jobs.add("n", 2, Path("/x"), 1)
    jobs.add("m", 3, Path("/y"), 2)
    assert [job.location for job in jobs] == [Pixels(Path("/x"), 1, 3, 5, 7), Pixels(Path("/y"), 2, 3, 5, 7)]


def test_paths_outlive_a_change_of_the_working_folder(tmp_path: Path) -> None:
    files, members, pixels = FileJobs(Path("images")), MemberJobs(), PixelJobs(channels=1, height=1, width=1)
    files.add("a.jpg", 0)
    members.add("a.jpg", 0, Member(Path("x.tar"), 0, 1))
    pixels.add("a", 0, Path("x.bin"), 0)
    assert files[0].location == File(Path.cwd() / "images/a.jpg")
    assert members[0].location == Member(Path.cwd() / "x.tar", 0, 1)
    assert pixels[0].location == Pixels(Path.cwd() / "x.bin", 0, 1, 1, 1)


def test_a_hundred_thousand_members_take_less_than_a_hundred_bytes_each() -> None:
    jobs = MemberJobs()
    count = 100_000
    for index in range(count):
        jobs.add(f"n01440764/n01440764_{index:05}.JPEG", index, Member(Path("x"), index, 1))
    holders = [jobs, *(value for value in vars(jobs).values() if hasattr(value, "__dict__"))]
    stores = [
        value for holder in holders for value in vars(holder).values() if isinstance(value, array | bytearray)
    ]
    assert len(stores) == 13
    assert sum(map(sys.getsizeof, stores)) < 100 * count


def test_boxes_come_back_beside_their_images() -> None:
    boxes = (
        Box(label=90, xmin=1, ymin=-2.5, xmax=0.1, ymax=1e9, is_difficult=True),
        Box(label=1, xmin=3.25, ymin=4, xmax=5, ymax=6),
    )
    annotations = [
        Annotation(boxes=boxes, height=480, width=640, file="Annotations/\u00e4.xml"),
        Annotation(boxes=(), image_id="139"),
        Annotation(boxes=boxes[:1], height=7),
    ]
    files, members = FileJobs(Path("/root")), MemberJobs()
    for name, annotation in zip(NAMES, annotations, strict=False):
        files.add(name, annotation=annotation)
        members.add(name, NO_LABEL, Member(Path("/x"), 2, 3), annotation)
    for jobs in (files, members):
        assert [job.annotation for job in jobs] == annotations
        assert {job.label for job in jobs} == {NO_LABEL}
        assert jobs[1:][0].annotation == annotations[1]


def test_as_many_boxes_as_coco_has_take_fifty_megabytes() -> None:
    jobs = FileJobs(Path("/root"))
    box = Box(label=1, xmin=2.5, ymin=3.5, xmax=4.5, ymax=5.5)
    count = 10_000  # of 118,287, with seven boxes each
    for index in range(count):
        jobs.add(f"train2017/{index:012}.jpg", annotation=Annotation(boxes=(box,) * 7, height=480, width=640))
    holders = [jobs, *(value for value in vars(jobs).values() if hasattr(value, "__dict__"))]
    stores = [
        value for holder in holders for value in vars(holder).values() if isinstance(value, array | bytearray)
    ]
    assert sum(map(sys.getsizeof, stores)) / count * 118_287 < 60e6
