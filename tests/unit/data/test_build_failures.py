"""Whatever stops a build leaves something that resumes to the bytes of an unbroken build, or nothing."""

from __future__ import annotations

import logging
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from caffeflow.data import forecast, pipeline, writer
from caffeflow.data.build import BuildSettings, Progress, build
from caffeflow.data.folder import is_finished, is_unfinished
from caffeflow.data.manifest import Manifest, read_manifest
from caffeflow.data.sample import File, Job, Listing
from caffeflow.errors import DataError, StoppedError
from tests.support.mixed_images import CLASSES, folder_content, mixed_listing

ROOT = Path(__file__).resolve().parents[3]
BACKENDS = ["lmdb", "imagedata"]
SMALL = {"resize": (7, 5), "encode": "png", "workers": 2}


@pytest.fixture
def listing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Listing:
    monkeypatch.setattr(writer, "COMMIT_RECORDS", 9)
    monkeypatch.setattr(pipeline, "CHUNK", 3)
    return mixed_listing(tmp_path / "images")


def make(listing: Listing | Callable[[], Listing], out: Path, **settings: object) -> Manifest:
    return build(listing, BuildSettings(**{**SMALL, **settings}), out, source="folder")


def check_resumes(listing: Listing, out: Path, backend: str, tmp_path: Path) -> None:
    """The folder is refused by readers, refused without --resume, and resumes to the right bytes."""
    assert is_unfinished(out)
    with pytest.raises(DataError, match=r"unfinished.*--resume"):
        read_manifest(out)
    with pytest.raises(DataError, match="--resume goes on, --force begins anew"):
        make(listing, out, backend=backend)
    make(no_listing, out, backend=backend, resume=True)
    make(listing, tmp_path / "unbroken" / out.name, backend=backend)
    assert folder_content(out) == folder_content(tmp_path / "unbroken" / out.name)


def no_listing() -> Listing:
    raise AssertionError("a resumed build lists again")


def stop_after(count: int) -> Callable[[], bool]:
    asked = iter(range(count))
    return lambda: next(asked, None) is None


@dataclass(frozen=True, slots=True)
class Faulty(File):
    """A file whose reading fails until `armed` is empty."""

    armed: tuple[BaseException, ...] = ()

    def read(self) -> bytes:
        raise self.armed[0]


def with_fault(listing: Listing, error: BaseException, *, at: int) -> Listing:
    jobs = list(listing.splits["train"])
    fault = jobs[at]
    assert isinstance(fault.location, File)
    jobs[at] = Job(name=fault.name, label=fault.label, location=Faulty(fault.location.path, (error,)))
    return Listing(splits={**listing.splits, "train": jobs}, class_names=listing.class_names)


@pytest.mark.parametrize("backend", BACKENDS)
def test_stopped_by_the_user_it_resumes(listing: Listing, tmp_path: Path, backend: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(StoppedError, match=r"stopped after 9 of 47 images of 'train'.*--resume") as stopped:
        build(
            listing, BuildSettings(**SMALL, backend=backend), out, source="folder", should_stop=stop_after(2)
        )
    assert stopped.value.exit_code == 8
    check_resumes(listing, out, backend, tmp_path)


@pytest.mark.parametrize("backend", BACKENDS)
def test_stopped_again_and_again_it_resumes(listing: Listing, tmp_path: Path, backend: str) -> None:
    out = tmp_path / "out"
    stops = 0
    while not is_finished(out):
        try:
            build(listing, BuildSettings(**SMALL, backend=backend, resume=True), out, source="folder",
                  should_stop=stop_after(1))  # fmt: skip
        except StoppedError:
            stops += 1
    assert stops == 10
    make(listing, tmp_path / "unbroken" / "out", backend=backend)
    assert folder_content(out) == folder_content(tmp_path / "unbroken" / "out")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyboardInterrupt(), MemoryError()])
def test_an_exception_in_a_worker_leaves_what_was_committed(
    listing: Listing, tmp_path: Path, backend: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = listing.splits["train"][40].name
    read = File.read

    def read_until_the_fault(self: File) -> bytes:
        if str(self.path).endswith(f"train/{name}"):
            raise error
        return read(self)

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(File, "read", read_until_the_fault)
        patch.setattr(forecast, "SAMPLE", 3)
        with pytest.raises(type(error)):
            make(listing, out, backend=backend)
    check_resumes(listing, out, backend, tmp_path)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_exception_before_the_first_commit_leaves_nothing(
    listing: Listing, tmp_path: Path, backend: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(RuntimeError, match="a bug"):
        make(with_fault(listing, RuntimeError("a bug"), at=0), out, backend=backend, shuffle=False)
    assert not out.exists()


@pytest.mark.parametrize("error", [DataError("no folder"), KeyboardInterrupt()])
def test_a_source_that_fails_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    def list_jobs() -> Listing:
        raise error

    with pytest.raises(type(error)):
        make(list_jobs, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_source_that_fails_under_force_leaves_the_dataset_that_was_there(
    listing: Listing, tmp_path: Path
) -> None:
    def list_jobs() -> Listing:
        raise DataError("no folder")

    out = tmp_path / "out"
    make(listing, out)
    before = folder_content(out)
    with pytest.raises(DataError, match="no folder"):
        make(list_jobs, out, force=True)
    assert folder_content(out) == before


@contextmanager
def disk_full_after(size_bytes: int) -> Iterator[None]:
    """Lets no file grow beyond this, which the system tells as it tells a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("backend", "limit"), [("lmdb", 40000), ("imagedata", 500)])
def test_a_full_disk_is_one_clear_error_and_resumes(
    listing: Listing, tmp_path: Path, backend: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "COMMIT_RECORDS", 2)
    monkeypatch.setattr(pipeline, "CHUNK", 2)
    out = tmp_path / "out"
    make(listing, tmp_path / "unbroken" / "out", backend=backend)
    with pytest.raises(StoppedError):
        build(
            listing, BuildSettings(**SMALL, backend=backend), out, source="folder", should_stop=stop_after(1)
        )
    with disk_full_after(limit), pytest.raises(DataError, match="cannot be written") as full:
        make(listing, out, backend=backend, resume=True)
    message = str(full.value)
    assert message.startswith(str(out))
    assert "images are left and need about" in message
    assert "are free; make room, then go on with --resume" in message
    assert "\n" not in message
    make(no_listing, out, backend=backend, resume=True)
    assert folder_content(out) == folder_content(tmp_path / "unbroken" / "out")


def test_a_full_disk_before_the_first_commit_leaves_nothing(listing: Listing, tmp_path: Path) -> None:
    with disk_full_after(5000), pytest.raises(DataError, match="cannot be written"):
        make(listing, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_disk_that_is_clearly_too_small_is_refused_beforehand(
    listing: Listing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forecast, "free_bytes", lambda _: 3000)
    with pytest.raises(DataError, match=r"64 images need about \d+ kB as png, and 3 kB are free") as refused:
        make(listing, tmp_path / "out")
    assert "raw" in str(refused.value)
    assert "jpg" in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_a_second_writer_is_refused(listing: Listing, tmp_path: Path) -> None:
    out = tmp_path / "out"
    refusals = []

    def write_too(progress: Progress) -> None:
        for settings in ({"resume": True}, {"force": True}, {}):
            with pytest.raises(DataError, match="another process is writing this dataset") as refused:
                make(listing, out, **settings)
            refusals.append(refused.value.exit_code)

    build(listing, BuildSettings(**SMALL), out, source="folder", on_progress=write_too)
    assert set(refusals) == {5}
    make(listing, tmp_path / "alone" / "out")
    assert folder_content(out) == folder_content(tmp_path / "alone" / "out")


def test_a_killed_writer_does_not_keep_its_lock(listing: Listing, tmp_path: Path) -> None:
    out = tmp_path / "out"
    script = (
        "import sys, time; from pathlib import Path; from caffeflow.data.folder import claim\n"
        "with claim(Path(sys.argv[1])): print('mine', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(out)], stdout=subprocess.PIPE, cwd=ROOT)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"mine\n"
        with pytest.raises(DataError, match="another process"):
            make(listing, out)
        holder.send_signal(signal.SIGKILL)
    assert holder.returncode == -signal.SIGKILL
    assert make(listing, out).splits["train"].count == 39


def test_a_finished_dataset_is_returned_or_refused_or_replaced(listing: Listing, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = make(listing, out)
    (out / "notes.txt").write_text("mine")
    assert make(no_listing, out) == first
    assert make(no_listing, out, resume=True) == first
    with pytest.raises(DataError, match=r"holds another dataset .gray was False, now True.*--force"):
        make(listing, out, gray=True)
    with pytest.raises(DataError, match="resize was 7x5, now 9x9"):
        make(listing, out, resize=(9, 9))
    assert make(listing, out, gray=True, backend="imagedata", force=True).channels == 1
    assert sorted(path.name for path in out.iterdir()) == [
        "dataset.json", "labels.txt", "mean.binaryproto", "notes.txt", "rejects.txt",
        "train", "train.txt", "val", "val.txt",
    ]  # fmt: skip


def test_other_folders_of_a_source_are_another_dataset(listing: Listing, tmp_path: Path) -> None:
    settings = BuildSettings(**SMALL)
    build(listing, settings, tmp_path / "out", source="folder", origin={"folder": "a", "fraction": 0.1})
    build(no_listing, settings, tmp_path / "out", source="folder", origin={"folder": "a", "fraction": 0.1})
    with pytest.raises(DataError, match="folder was a, now b"):
        build(listing, settings, tmp_path / "out", source="folder", origin={"folder": "b", "fraction": 0.1})


def test_resuming_with_other_settings_is_refused_and_keeps_all(listing: Listing, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(StoppedError):
        build(listing, BuildSettings(**SMALL), out, source="folder", should_stop=stop_after(3))
    with pytest.raises(DataError, match=r"begun otherwise .encode was png, now jpg"):
        make(listing, out, resume=True, encode="jpg")
    check_resumes(listing, out, "lmdb", tmp_path)


def test_force_begins_an_unfinished_dataset_anew(listing: Listing, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(StoppedError):
        build(listing, BuildSettings(**SMALL), out, source="folder", should_stop=stop_after(3))
    assert make(listing, out, force=True, backend="imagedata").splits["train"].count == 39
    make(listing, tmp_path / "new" / "out", backend="imagedata")
    assert folder_content(out) == folder_content(tmp_path / "new" / "out")


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_of_other_things_is_never_touched(listing: Listing, tmp_path: Path, force: bool) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(DataError, match="no dataset of caffeflow"):
        make(listing, tmp_path / "out", force=force)
    with pytest.raises(DataError, match="is a file"):
        make(listing, tmp_path / "out" / "thesis.tex", force=force)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_rejects_are_counted_and_listed(listing: Listing, tmp_path: Path) -> None:
    manifest = make(listing, tmp_path / "out", shuffle=False)
    assert manifest.splits["train"].rejected == {"empty": 4, "truncated": 4}
    assert manifest.splits["val"].rejected == {"empty": 1, "truncated": 2}
    lines = (tmp_path / "out" / "rejects.txt").read_text().splitlines()
    assert lines[:2] == ["train\tant/5.png\ttruncated", "train\tant/6.jpg\tempty"]
    assert len(lines) == 11


def test_missing_files_are_rejects(listing: Listing, tmp_path: Path) -> None:
    jobs = [*listing.splits["train"], Job(name="x.jpg", label=0, location=File(tmp_path / "x.jpg"))]
    manifest = make(Listing(splits={"train": jobs}, class_names=CLASSES), tmp_path / "out")
    assert manifest.splits["train"].rejected == {"empty": 4, "missing": 1, "truncated": 4}


def test_strict_makes_the_first_reject_an_error(listing: Listing, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train: image 'ant/5.png' is truncated"):
        make(listing, tmp_path / "out", strict=True, shuffle=False)
    assert not (tmp_path / "out").exists()


def test_all_rejected_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    (tmp_path / "b.jpg").write_bytes(b"hello")
    jobs = [Job(name=f"{n}.jpg", label=0, location=File(tmp_path / f"{n}.jpg")) for n in "abc"]
    with pytest.raises(
        DataError, match=r"none of the 3 images of 'train' can be used: 1 .*, 1 .*, 1 "
    ) as error:
        make(Listing(splits={"train": jobs}), tmp_path / "out")
    for reason in ("empty", "unsupported", "missing"):
        assert reason in str(error.value)
    assert not (tmp_path / "out").exists()


def test_more_than_half_rejected_is_a_warning(
    listing: Listing, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    jobs = [*listing.splits["train"][:5], *(
        Job(name=f"{n}.jpg", label=0, location=File(tmp_path / f"{n}.jpg")) for n in range(6)
    )]  # fmt: skip
    with caplog.at_level(logging.WARNING):
        make(Listing(splits={"train": jobs}), tmp_path / "out")
    assert "more than half of 'train' was left out: 6 of 11 (6 missing)" in caplog.text


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"label": -1}, "label is -1"),
        ({"label": 3}, "label is 3, but there are 3 classes"),
        ({"label": 2**31}, "label is 2147483648"),
        ({"name": "../a.jpg"}, "'../a.jpg'.*without '..'"),
        ({"name": "a/../../b.jpg"}, "without '..'"),
        ({"name": "/etc/a.jpg"}, "expected a relative path"),
        ({"name": "a\nb.jpg"}, "line break"),
        ({"name": "a" * 501}, "longer than 500 bytes"),
    ],
)
def test_jobs_that_caffe_cannot_hold_are_refused(
    listing: Listing, tmp_path: Path, job: dict[str, object], words: str
) -> None:
    wrong = Job(**{"name": "a.jpg", "label": 0, "location": File(tmp_path / "a.jpg"), **job})
    splits = {"train": [*listing.splits["train"], wrong]}
    with pytest.raises(DataError, match=words):
        make(Listing(splits=splits, class_names=CLASSES), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_empty_listing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lists no image"):
        make(Listing(splits={"train": []}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named(listing: Listing, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file/out: cannot be written"):
        make(listing, tmp_path / "file" / "out")
