"""CIFAR-10 and CIFAR-100 from their binary editions: label bytes, then 32x32 pixels as planes R, G, B.

Records are read where they lie, in the unpacked `.bin` files; the archive is gzipped, so it is unpacked once,
into `data/raw/`. The test batch is split val.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Literal, TypeAlias

from caffeflow.data.archives import check_archive, unpack
from caffeflow.data.packed import PixelJobs
from caffeflow.data.raw_files import RAW_DIR, RawFile, Tell, find_first, missing, places, tell_nobody
from caffeflow.data.sample import Listing
from caffeflow.download import Fetch, digest_of, download
from caffeflow.errors import DataError, UsageError

Edition: TypeAlias = Literal["cifar10", "cifar100"]

_SIDE: Final = 32
_PLANES: Final = 3 * _SIDE * _SIDE


@dataclass(frozen=True, kw_only=True)
class _Facts:
    """What distinguishes the two editions; `labels` are the label bytes of a record, by name."""

    title: str
    archive: RawFile
    folder: str
    train: tuple[str, ...]
    val: str
    labels: tuple[str, ...]
    names: tuple[str, ...]
    home: str = "https://www.cs.toronto.edu/~kriz"

    @property
    def url(self) -> str:
        return f"{self.home}/{self.archive.name}"

    @property
    def checksums(self) -> dict[str, str]:
        return {"md5": self.archive.md5} if self.archive.md5 else {}

    @property
    def record_bytes(self) -> int:
        return len(self.labels) + _PLANES


FACTS: Final[dict[Edition, _Facts]] = {
    "cifar10": _Facts(
        title="CIFAR-10",
        archive=RawFile(
            name="cifar-10-binary.tar.gz",
            size=170_052_171,
            md5="c32a1d4ab5d03f1284b67883e8d87530",
            what="all pictures and labels",
        ),
        folder="cifar-10-batches-bin",
        train=tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        val="test_batch.bin",
        labels=("fine",),
        names=("batches.meta.txt",),
    ),
    "cifar100": _Facts(
        title="CIFAR-100",
        archive=RawFile(
            name="cifar-100-binary.tar.gz",
            size=168_513_733,
            md5="03b5dce01913d631647c71ecec9e9cb8",
            what="all pictures and labels",
        ),
        folder="cifar-100-binary",
        train=("train.bin",),
        val="test.bin",
        labels=("coarse", "fine"),
        names=("coarse_label_names.txt", "fine_label_names.txt"),
    ),
}


@dataclass(frozen=True, kw_only=True)
class CifarSettings:
    """Which edition, and where it is; what is None is looked for.

    Attributes:
        edition: CIFAR-10 or CIFAR-100.
        coarse: Takes CIFAR-100's 20 superclasses instead of its 100 classes.
        path: The archive, or the folder it unpacks to.
        download: Fetches the archive if it is not there.
        check_md5: Whether an archive must be the official one; some mirrors pack the same files anew.
        raw_dir: Where the archive is fetched and unpacked to.
    """

    edition: Edition
    coarse: bool = False
    path: Path | None = None
    download: bool = False
    check_md5: bool = True
    raw_dir: Path = RAW_DIR


def list_jobs(
    settings: CifarSettings,
    *,
    tell: Tell = tell_nobody,
    should_stop: Callable[[], bool] = lambda: False,
) -> Listing:
    """Lists the records in the order of the batches; names are `<class>/<batch>_<number>`.

    Args:
        settings: Which edition, and where it is.
        tell: Hears how far downloading and unpacking are.
        should_stop: Ends a download; what has come is kept.

    Raises:
        DataError: The files are missing (then it says what to get), damaged, or another edition.
        StoppedError: `should_stop` said so.
    """
    facts = FACTS[settings.edition]
    if settings.coarse and "coarse" not in facts.labels:
        raise UsageError(f"--coarse: {facts.title} has no coarse labels; leave it out")
    folder = _folder(settings, facts, tell, should_stop)
    which = "coarse" if settings.coarse else "fine"
    names = _class_names(folder / facts.names[facts.labels.index(which)])
    train, val = (PixelJobs(channels=3, height=_SIDE, width=_SIDE) for _ in range(2))
    for batch in facts.train:
        _add_batch(train, folder / batch, facts, which, names)
    _add_batch(val, folder / facts.val, facts, which, names)
    return Listing(splits={"train": train, "val": val}, class_names=names)


def _folder(settings: CifarSettings, facts: _Facts, tell: Tell, should_stop: Callable[[], bool]) -> Path:
    """Returns the folder of the unpacked files, unpacking or fetching them before."""
    if settings.path is not None and not settings.path.exists():
        raise DataError(f"{settings.path}: no such file or folder; --download fetches {facts.archive.name}")
    path = settings.path or find_first((facts.folder, facts.archive.name), (settings.raw_dir, *places()))
    if path is None and not settings.download:
        raise missing(
            facts.title,
            [facts.archive],
            folders=places(),
            where_to_get=f"It is at {facts.url}; --download fetches it.",
        )
    if path is None:
        path = download(
            Fetch(url=facts.url, checksums=facts.checksums if settings.check_md5 else {}),
            settings.raw_dir / facts.archive.name,
            on_bytes=lambda done, total: tell(f"downloading {facts.archive.name}", done, total),
            should_stop=should_stop,
        )
    if path.is_dir():
        return path / facts.folder if (path / facts.folder).is_dir() else path
    return _unpacked(path, settings, facts, tell)


def _unpacked(archive: Path, settings: CifarSettings, facts: _Facts, tell: Tell) -> Path:
    """Unpacks the archive once; another one than the official has a folder of its own."""
    check_archive(archive)
    md5 = digest_of(archive, "md5")
    is_official = md5 == facts.archive.md5
    if not is_official and settings.check_md5:
        raise DataError(
            f"{archive}: md5 is {md5}, expected {facts.archive.md5}: it is damaged, or not "
            f"{facts.archive.name}; fetch it again, or trust it with --no-md5"
        )
    folder = settings.raw_dir / (facts.folder if is_official else f"{facts.folder}-{md5[:8]}")
    if not folder.exists():
        wanted = {*facts.train, facts.val, *facts.names}
        done = 0

        def count(size: int) -> None:
            nonlocal done
            done += size
            tell(f"unpacking {archive.name}", done, None)

        unpack(archive, folder, lambda name: PurePosixPath(name).name in wanted, on_bytes=count)
    return folder


def _class_names(path: Path) -> tuple[str, ...]:
    return tuple(line.decode("ascii", "replace") for line in _read(path).split())


def _add_batch(jobs: PixelJobs, path: Path, facts: _Facts, which: str, names: Sequence[str]) -> None:
    """Appends the records of one file."""
    content = _read(path)
    size = facts.record_bytes
    if not content or len(content) % size:
        raise DataError(
            f"{path}: has {len(content):,} bytes, expected a multiple of {size:,}: it is truncated, or not "
            f"{facts.title}'s; unpack {facts.archive.name} again"
        )
    for number, label in enumerate(content[facts.labels.index(which) :: size]):
        if label >= len(names):
            raise DataError(
                f"{path}: record {number} has label {label}, and there are {len(names)} classes; unpack "
                f"{facts.archive.name} again"
            )
        jobs.add(f"{names[label]}/{path.stem}_{number:05}", label, path, number * size + len(facts.labels))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read: {error.strerror}; expected a file of the binary edition"
        ) from error
