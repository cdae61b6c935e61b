"""The ordered job list and its file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffeflow.data.boxes import Annotation, Box
from caffeflow.data.jobs import arrange, read_jobs, write_jobs
from caffeflow.data.sample import NO_LABEL, Deflated, File, Job, Member, Pixels
from caffeflow.errors import DataError

PARTS = st.text(
    st.characters(exclude_characters="/", exclude_categories=["Cc", "Cs"], include_characters="\udcff"),
    min_size=1,
).filter(lambda part: part not in (".", ".."))
NAMES = st.lists(PARTS, min_size=1, max_size=3).map("/".join).filter(lambda name: len(name) < 100)
PATHS = NAMES.map(lambda name: Path("/data") / name)
NUMBERS = st.integers(0, 2**40)
LOCATIONS = st.one_of(
    st.builds(File, PATHS),
    st.builds(Member, PATHS, NUMBERS, NUMBERS),
    st.builds(Deflated, PATHS, NUMBERS, NUMBERS, NUMBERS),
    st.builds(Pixels, PATHS, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
)
COORDINATES = st.integers(-5, 3000) | st.floats(allow_nan=False)
BOXES = st.builds(
    Box,
    label=st.integers(1, 90),
    xmin=COORDINATES,
    ymin=COORDINATES,
    xmax=COORDINATES,
    ymax=COORDINATES,
    is_difficult=st.booleans(),
)
ANNOTATIONS = st.builds(
    Annotation,
    boxes=st.lists(BOXES, max_size=3).map(tuple),
    height=st.integers(0, 5000),
    width=st.integers(0, 5000),
    file=st.just("") | NAMES,
    image_id=st.sampled_from(["", "139"]),
)
JOBS = st.one_of(
    st.builds(
        Job, name=NAMES, label=st.integers(0, 2**31 - 1), location=LOCATIONS, copy=st.sampled_from([0, 1, 12])
    ),
    st.builds(Job, name=NAMES, label=st.just(NO_LABEL), location=LOCATIONS, annotation=ANNOTATIONS),
)


@settings(deadline=None, max_examples=50)
@given(jobs=st.lists(JOBS, max_size=20), start=st.integers(0, 25))
def test_any_list_comes_back_from_its_file(
    jobs: list[Job], start: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jobs"
    write_jobs(path, jobs)
    assert list(read_jobs(path, start=start)) == jobs[start:]


def test_folders_and_archives_are_written_once(tmp_path: Path) -> None:
    jobs = [
        Job(name=f"c/{n}.jpg", label=1, location=Member(Path("/a/train.tar"), n * 512, 7)) for n in range(9)
    ]
    write_jobs(tmp_path / "jobs", jobs)
    assert (tmp_path / "jobs").read_text().count("train.tar") == 1


def test_a_bad_job_leaves_no_list(tmp_path: Path) -> None:
    jobs = [Job(name=name, label=0, location=File(Path("/a"))) for name in ("good", "../bad")]
    with pytest.raises(DataError, match=r"without '..'"):
        write_jobs(tmp_path / "jobs", jobs)
    assert list(tmp_path.glob("*jobs*")) == []


@given(count=st.integers(0, 60), limit=st.none() | st.integers(1, 80), seed=st.none() | st.integers(0, 5))
def test_arranging_keeps_each_job_once(count: int, limit: int | None, seed: int | None) -> None:
    jobs = [Job(name=str(n), label=0, location=File(Path(str(n)))) for n in range(count)]
    arranged = list(arrange(jobs, limit=limit, shuffle_seed=seed))
    assert len(arranged) == (count if limit is None else min(limit, count))
    assert len({job.name for job in arranged}) == len(arranged)
    if seed is None:
        assert arranged == sorted(arranged, key=lambda job: int(job.name))
    assert arranged == list(arrange(jobs, limit=limit, shuffle_seed=seed))
