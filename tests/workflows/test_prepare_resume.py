"""kill -9 at many moments of a build, then --resume: the dataset is that of an unbroken build."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from caffeflow.data import pipeline, writer
from caffeflow.data.folder import is_finished
from caffeflow.data.journal import read_journal
from caffeflow.data.manifest import read_manifest
from tests.support import boxed_images, build_and_kill
from tests.support.mixed_images import folder_content, mixed_listing

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "COMMIT_RECORDS", 4)
    monkeypatch.setattr(pipeline, "CHUNK", 3)


def write_images(kind: str, images: Path) -> None:
    (boxed_images.boxed_listing if kind == "boxes" else mixed_listing)(images)


def kill(kind: str, images: Path, out: Path, moments: list[str]) -> dict[str, str]:
    """Returns, for each moment, whether its build was killed or had finished."""
    done = subprocess.run(
        [
            sys.executable,
            str(ROOT / "tests/support/build_and_kill.py"),
            kind,
            str(images),
            str(out),
            *moments,
        ],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    return dict(line.split() for line in done.stdout.splitlines())


def unbroken(kind: str, images: Path, out: Path) -> dict[str, object]:
    """Returns what an unbroken build makes; its folder's name is in the manifest, so all have one."""
    build_and_kill.run_build(kind, images, out, resume=False)
    return folder_content(out)


def check_resumed(kind: str, images: Path, out: Path, moments: list[str], tmp_path: Path) -> list[int]:
    """Kills at each moment, resumes, compares; returns how many jobs each killed build had journaled."""
    fates = kill(kind, images, out, moments)
    assert list(fates) == moments
    expected = unbroken(kind, images, tmp_path / "unbroken" / "dataset")
    journaled = []
    for moment, fate in fates.items():
        assert fate in ("killed", "finished"), moment
        folder = out / moment / "dataset"
        if is_finished(folder):
            read_manifest(folder)
        if fate == "killed":
            entries = read_journal(folder / ".unfinished" / "journal.jsonl").values()
            journaled.append(sum(entry.tally["done"] for entry in entries))
        build_and_kill.run_build(kind, images, folder, resume=True)
        assert folder_content(folder) == expected, f"killed at {moment}"
    return journaled


@pytest.mark.parametrize(
    ("kind", "touches"), [("lmdb", 84), ("imagedata", 150), ("boxes", 84), ("copies", 120)]
)
def test_killed_at_any_touch_of_the_disk_it_resumes_to_the_same_bytes(
    kind: str, touches: int, tmp_path: Path, small_steps: None
) -> None:
    images = tmp_path / "images"
    write_images(kind, images)
    moments = [str(moment) for moment in [*range(1, 12), *random.Random(3).sample(range(12, touches), 13)]]
    journaled = check_resumed(kind, images, tmp_path / "out", moments, tmp_path)
    assert len(journaled) >= 20
    assert sum(done > 0 for done in journaled) >= 5


@pytest.mark.parametrize("kind", ["lmdb", "imagedata", "boxes"])
def test_killed_at_random_times_it_resumes_to_the_same_bytes(
    kind: str, tmp_path: Path, small_steps: None
) -> None:
    images = tmp_path / "images"
    write_images(kind, images)
    rng = random.Random(5)
    moments = [f"{rng.uniform(0.01, 0.25):.4f}" for _ in range(8)]
    assert check_resumed(kind, images, tmp_path / "out", moments, tmp_path)
