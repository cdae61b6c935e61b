"""The pictures to look at: files as named, and all below folders; each with a name for what is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from caffeflow import images
from caffeflow.data.sources.folder import IMAGE_SUFFIXES
from caffeflow.errors import DataError
from caffeflow.images import Image, Mode


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture file; `name` is its path below the folder that was named, with `/`."""

    path: Path
    name: str

    def read(self, mode: Mode = "color") -> Image:
        """Returns the picture in colour or gray, upright.

        Raises:
            DataError: It cannot be read or decoded.
        """
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read: {error.strerror}") from error
        return images.decode(content, mode, name=str(self.path))


def find_pictures(paths: Sequence[Path]) -> list[Picture]:
    """Returns the pictures of files and folders, in order; those of a folder by name.

    Raises:
        DataError: A path does not exist, or a folder has no pictures.
    """
    found: list[Picture] = []
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: no such file or folder")
        found += _below(path) if path.is_dir() else [Picture(path=path, name=path.name)]
    return found


def read_batches(
    pictures: Sequence[Picture], batch_size: int, note: Callable[[str], None], *, mode: Mode = "color"
) -> Iterator[tuple[int, list[tuple[Picture, Image]]]]:
    """Yields how many pictures are done after a batch, and those of it that could be read; others are noted.

    Raises:
        DataError: Not one can be read; it comes after the last batch.
    """
    unread = 0
    for start in range(0, len(pictures), batch_size):
        batch = []
        for picture in pictures[start : start + batch_size]:
            try:
                batch.append((picture, picture.read(mode)))
            except DataError as error:
                note(f"left out: {error}")
                unread += 1
        yield min(start + batch_size, len(pictures)), batch
    if unread == len(pictures):
        raise DataError(f"none of the {unread} pictures can be read; the first is {pictures[0].path}")


def _below(folder: Path) -> list[Picture]:
    files = sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
    )
    if not files:
        kinds = ", ".join(sorted(IMAGE_SUFFIXES))
        raise DataError(f"{folder}: has no pictures; expected files such as {kinds}")
    return [Picture(path=path, name=path.relative_to(folder).as_posix()) for path in files]
