"""Image files and a list of them, for Caffe's ImageData layer: `train/cat/00000012_1.jpg`, `train.txt`.

Each file's name begins with the place in the list, so that no two can collide, whatever they were
called. The workers write the files; a list line is written only after its file.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Final

from caffeflow.data.convert import Converted, Packed, Picture
from caffeflow.data.journal import CountedText
from caffeflow.data.sample import Job
from caffeflow.data.sink import SinkStart
from caffeflow.data.transforms import as_planes
from caffeflow.image_bytes import sniff

_NUMBERED: Final = re.compile(r"\d{8,}_")
_MAX_STEM_BYTES: Final = 200  # a file system takes 255 for the whole name


class ImageDataSink:
    """Writes `train/` and `train.txt`, or the same of `val`."""

    def __init__(self, start: SinkStart) -> None:
        self._split = start.split
        self._folder = start.out_dir / start.split
        self._folder.mkdir(exist_ok=True)
        self._list = CountedText(start.out_dir / self.path, length=start.state.get("list_bytes", 0))

    @property
    def path(self) -> str:
        """Name of the list file."""
        return f"{self._split}.txt"

    @property
    def root(self) -> str:
        """Name of the folder of the images."""
        return self._split

    @property
    def name_size(self) -> None:
        """None: there are no boxes."""
        return

    def pack(self, index: int, job: Job, picture: Picture) -> Packed:
        """Writes the file of a picture, and returns its list line and content."""
        assert picture.file is not None, "settings refuse raw here"  # noqa: S101 - a contract between our parts
        name = file_name(index, job.name, extension="jpg" if sniff(picture.file) == "jpeg" else "png")
        write_file(self._folder / name, picture.file)
        return Packed(os.fsencode(f"{name} {job.label}"), picture.file, as_planes(picture.image))

    def add(self, record: Converted) -> None:
        """Adds the line of the next image to the list."""
        self._list.add(record.key)

    def commit(self) -> dict[str, int]:
        """Makes the images and then the list durable."""
        os.sync()  # one call for a thousand files: a call for each would take longer than writing them
        return {"list_bytes": self._list.commit()}

    def close(self) -> None:
        """Closes the list."""
        self._list.close()


def file_name(index: int, name: str, *, extension: str) -> str:
    """Returns the path of an image below its split's folder; it differs for every index.

    A folder of the original path that looks like one of our files gets an underscore in front: it
    could otherwise be in the way of that file.
    """
    path = PurePosixPath(name)
    folders = [f"_{part}" if _NUMBERED.match(part) else part for part in path.parts[:-1]]
    stem = os.fsdecode(os.fsencode(path.stem)[:_MAX_STEM_BYTES])
    return "/".join([*folders, f"{index:08d}_{stem}.{extension}"])


def write_file(path: Path, content: bytes) -> None:
    """Writes a file, making its folders where they are missing."""
    try:
        path.write_bytes(content)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
