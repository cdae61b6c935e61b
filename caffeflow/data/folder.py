"""The dataset folder while it is being made: marked, locked, and left clean.

`.unfinished/` is both the mark and the place of everything that a resumed build needs: the plan, the
job lists, the journal. It is there from the first moment and goes when `dataset.json` stands. A lock
on a file in it (which the system releases however the process ends) keeps a second writer out.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from caffeflow.data.manifest import MANIFEST_NAME, UNFINISHED_NAME
from caffeflow.errors import DataError

LABELS_NAME: Final = "labels.txt"
MEAN_NAME: Final = "mean.binaryproto"
REJECTS_NAME: Final = "rejects.txt"
IMAGE_SETS_NAME: Final = "ImageSets"  # KITTI's split, as the devkits of detection keep theirs
LABEL_MAP_NAME: Final = "labelmap.prototxt"
NAME_SIZE_NAME: Final = "test_name_size.txt"

_LOCK_NAME: Final = "lock"
_OWN_NAMES: Final = (  # dataset.json goes first: from then on it is no dataset
    MANIFEST_NAME, LABELS_NAME, MEAN_NAME, REJECTS_NAME, LABEL_MAP_NAME, NAME_SIZE_NAME,
    "train_lmdb", "val_lmdb", "train", "val", "train.txt", "val.txt", IMAGE_SETS_NAME,
)  # fmt: skip


def is_finished(out_dir: Path) -> bool:
    """Tells whether the folder holds a whole dataset."""
    return (out_dir / MANIFEST_NAME).exists()


def is_unfinished(out_dir: Path) -> bool:
    """Tells whether a build of a dataset stopped here, or runs."""
    return not is_finished(out_dir) and (out_dir / UNFINISHED_NAME).is_dir()


def check_usable(out_dir: Path) -> None:
    """Refuses a folder that holds something else than a dataset: nothing of the user's is overwritten.

    Raises:
        DataError: Saying what is there.
    """
    if not out_dir.exists() or is_finished(out_dir) or is_unfinished(out_dir):
        return
    if not out_dir.is_dir():
        raise DataError(f"{out_dir}: is a file; expected a folder to write the dataset into")
    if any(out_dir.iterdir()):
        raise DataError(f"{out_dir}: holds files, but no dataset of caffeflow; choose an empty or new folder")


@contextmanager
def claim(out_dir: Path) -> Iterator[Path]:
    """Makes and locks the folder of an unfinished dataset, and yields its `.unfinished/`.

    Raises:
        DataError: Another process writes this dataset, or the folder cannot be made.
    """
    work_dir = out_dir / UNFINISHED_NAME
    try:
        descriptor = _lock(work_dir)
    except BlockingIOError:
        raise DataError(
            f"{out_dir}: another process is writing this dataset; wait for it, or choose another folder"
        ) from None
    except OSError as error:
        raise DataError(f"{out_dir}: cannot be written: {error.strerror}") from error
    try:
        yield work_dir
    finally:
        os.close(descriptor)


def clear(out_dir: Path, work_dir: Path) -> None:
    """Deletes the dataset that is there, finished or not; the lock and files of the user's stay."""
    for name in _OWN_NAMES:
        _delete(out_dir / name)
    for path in work_dir.iterdir():
        if path.name != _LOCK_NAME:
            _delete(path)


def remove(out_dir: Path, work_dir: Path) -> None:
    """Deletes what a build without a single commit left, and the folder itself if that empties it."""
    clear(out_dir, work_dir)
    unmark(work_dir)
    if not any(out_dir.iterdir()):
        out_dir.rmdir()


def unmark(work_dir: Path) -> None:
    """Deletes `.unfinished/`, the lock last."""
    for path in sorted(work_dir.iterdir(), key=lambda path: path.name == _LOCK_NAME):
        _delete(path)
    try:
        work_dir.rmdir()
    except OSError as error:
        if error.errno != errno.ENOTEMPTY:  # else another process has just claimed it
            raise


def replace_file(path: Path, content: bytes, *, by: Path) -> None:
    """Writes a file whole or not at all, by way of another name in `.unfinished/`.

    Unlike `files.write_atomically` it leaves no stray name behind when it is killed, and it lets the
    system's error through, so that the build can say what a full disk still needs.
    """
    with by.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    by.replace(path)


def free_bytes(path: Path) -> int:
    """Returns the free space of the disk on which this path is, or will be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def used_bytes(out_dir: Path) -> int:
    """Returns the size of the dataset that is there, which a new one would replace."""
    paths = (path for name in _OWN_NAMES for path in ((out_dir / name), *(out_dir / name).rglob("*")))
    return sum(path.stat().st_size for path in paths if path.is_file())


def _lock(work_dir: Path) -> int:
    """Returns the descriptor of the locked file, taking care that it is still the file of that name."""
    path = work_dir / _LOCK_NAME
    while True:
        work_dir.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:  # another build finished, and took the folder away in between
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
