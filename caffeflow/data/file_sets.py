"""One way to look into a folder, a tar or a zip: what lies in it, by names with `/`, and where the bytes are.

Data sets with annotations come as folders or as the archives that unpack to them; nothing is unpacked here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from caffeflow.data.archives import tar_entries
from caffeflow.data.raw_files import Tell, tell_nobody
from caffeflow.data.sample import File, Location, Member
from caffeflow.data.zips import zip_members
from caffeflow.errors import DataError

ARCHIVE_SUFFIXES: Final = (".tar", ".zip")

_DEPTH: Final = 3  # of folders that are looked into for a layout: root/VOCdevkit/VOC2007/Annotations


class FileSet(Protocol):
    """Files by name; names are relative, and folders have no slash at their end."""

    def files(self, folder: str) -> Sequence[str]:
        """Returns the sorted names of the files right in a folder; none if there is no such folder."""

    def folders(self) -> Sequence[str]:
        """Returns the sorted names of the folders, down to a few levels; the set itself is ''."""

    def locate(self, name: str) -> Location:
        """Returns where the bytes of a file are; the file must be there."""

    def where(self, name: str) -> str:
        """Returns what messages call a file."""


class FolderFiles:
    """The files of a folder on disk; what was listed once is remembered."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._shown = root
        self._listed: dict[str, list[str]] = {}

    def files(self, folder: str) -> Sequence[str]:
        """Returns the sorted names of the files right in a folder."""
        if folder not in self._listed:
            self._listed[folder] = self._list(folder, want_folders=False)
        return self._listed[folder]

    def folders(self) -> Sequence[str]:
        """Returns the sorted names of the folders down to three levels."""
        found, level = [""], [""]
        for _ in range(_DEPTH):
            level = [
                f"{above}/{name}" if above else name
                for above in level
                for name in self._list(above, want_folders=True)
            ]
            found += level
        return sorted(found)

    def locate(self, name: str) -> Location:
        """Returns the file."""
        return File(self._root / name)

    def where(self, name: str) -> str:
        """Returns the path as the user would write it."""
        return str(self._shown / name)

    def _list(self, folder: str, *, want_folders: bool) -> list[str]:
        try:
            with os.scandir(self._root / folder) as found:
                return sorted(
                    entry.name
                    for entry in found
                    if entry.is_dir() == want_folders and not entry.name.startswith(".")
                )
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise DataError(f"{self.where(folder)}: cannot be listed: {error.strerror}") from error


class ArchiveFiles:
    """The members of an archive, listed once."""

    def __init__(self, path: Path, members: Iterable[tuple[str, Location]]) -> None:
        self._path = path
        self._folders: dict[str, dict[str, Location]] = {}
        for name, location in members:
            if _is_hidden(name):
                continue
            folder, _, last = name.rpartition("/")
            self._folders.setdefault(folder, {})[last] = location

    def files(self, folder: str) -> Sequence[str]:
        """Returns the sorted names of the files right in a folder."""
        return sorted(self._folders.get(folder, ()))

    def folders(self) -> Sequence[str]:
        """Returns the sorted names of all folders."""
        above = {str(parent) for name in self._folders for parent in PurePosixPath(name).parents}
        return sorted({"", *self._folders, *(name for name in above if name != ".")})

    def locate(self, name: str) -> Location:
        """Returns the member."""
        folder, _, last = name.rpartition("/")
        return self._folders[folder][last]

    def where(self, name: str) -> str:
        """Returns the archive and the member."""
        return f"{self._path}: {name}" if name else str(self._path)


class FilesBelow:
    """A folder of other sets as a set of its own: of several, since VOC comes in parts that overlap."""

    def __init__(self, parts: Sequence[tuple[FileSet, str]]) -> None:
        self._parts = tuple(parts)
        self._owners: dict[str, Mapping[str, int]] = {}

    def files(self, folder: str) -> Sequence[str]:
        """Returns the sorted names of the files right in a folder, of all parts."""
        return sorted(self._owned(folder))

    def folders(self) -> Sequence[str]:
        """Returns the sorted names of the folders of all parts."""
        found = {""}
        for files, root in self._parts:
            found |= {
                name.removeprefix(f"{root}/")
                for name in files.folders()
                if not root or name.startswith(f"{root}/")
            }
        return sorted(found)

    def locate(self, name: str) -> Location:
        """Returns where the bytes are in the first part that has the file."""
        files, full = self._owner(name)
        return files.locate(full)

    def where(self, name: str) -> str:
        """Returns what the part that has the file calls it."""
        files, full = self._owner(name)
        return files.where(full)

    def _owned(self, folder: str) -> Mapping[str, int]:
        if folder not in self._owners:
            owners: dict[str, int] = {}
            for number, (files, root) in enumerate(self._parts):
                for name in files.files(_joined(root, folder)):
                    owners.setdefault(name, number)
            self._owners[folder] = owners
        return self._owners[folder]

    def _owner(self, name: str) -> tuple[FileSet, str]:
        folder, _, last = name.rpartition("/")
        files, root = self._parts[self._owned(folder).get(last, 0)]
        return files, _joined(root, name)


class MountedFiles:
    """Several sets, each as a folder of its own."""

    def __init__(self, mounted: Mapping[str, FileSet]) -> None:
        self._mounted = mounted

    def files(self, folder: str) -> Sequence[str]:
        """Returns the sorted names of the files right in a mounted folder."""
        return self._mounted[folder].files("") if folder in self._mounted else []

    def folders(self) -> Sequence[str]:
        """Returns the names of the mounted folders."""
        return sorted({"", *self._mounted})

    def locate(self, name: str) -> Location:
        """Returns where the bytes are."""
        folder, _, last = name.rpartition("/")
        return self._mounted[folder].locate(last)

    def where(self, name: str) -> str:
        """Returns the path of a file."""
        folder, _, last = name.rpartition("/")
        return self._mounted[folder].where(last)


def open_files(path: Path, *, tell: Tell = tell_nobody) -> FileSet:
    """Opens a folder, a tar or a zip.

    Args:
        path: Which.
        tell: Hears how far the listing of an archive is.

    Raises:
        DataError: It is not there, or is an archive that cannot be read in place.
    """
    if path.is_dir():
        return FolderFiles(path)
    if not path.exists():
        raise DataError(f"{path}: no such folder or archive")
    if path.suffix.lower() not in ARCHIVE_SUFFIXES:
        raise DataError(
            f"{path}: expected a folder, or an archive .tar or .zip; unpack it, and name the folder"
        )
    total = path.stat().st_size

    def on_bytes(done: int) -> None:
        tell(f"indexing {path.name}", done, total)

    if path.suffix.lower() == ".zip":
        return ArchiveFiles(path, zip_members(path, on_bytes=on_bytes))
    return ArchiveFiles(path, _tar_members(path, tell=on_bytes))


def _tar_members(path: Path, tell: Callable[[int], None]) -> Iterable[tuple[str, Location]]:
    for entry in tar_entries(path):
        yield entry.name, Member(path.absolute(), entry.offset, entry.size)
        tell(entry.offset)


def read_text(files: FileSet, name: str) -> str:
    """Returns the text of a small file, such as a list of an image set.

    Raises:
        DataError: It cannot be read, or is no text.
    """
    try:
        return files.locate(name).read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{files.where(name)}: is not UTF-8 text; convert it, for instance with iconv"
        ) from error


def _is_hidden(name: str) -> bool:
    """Tells whether a member is hidden, or one of those that macOS adds to its zips."""
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _joined(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name
