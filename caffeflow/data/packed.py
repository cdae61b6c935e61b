"""Lists of jobs that stay small: ImageNet's 1.28 million take 70 MB here, and ten times that as objects.

Names lie in one byte string, numbers in arrays; a `Job` is made when it is asked for. Its path is absolute,
so that a build can be resumed from another working folder. Either all jobs of a list have an annotation,
or none has.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Sequence
from pathlib import Path

from caffeflow.data.boxes import Annotation
from caffeflow.data.made_jobs import MadeJobs
from caffeflow.data.packed_boxes import PackedAnnotations
from caffeflow.data.sample import NO_LABEL, File, Job, Location, Member, Pixels


class PackedJobs(MadeJobs):
    """A sequence of jobs that can only grow; what a location is made of is the subclass's matter."""

    def __init__(self) -> None:
        self._names = bytearray()
        self._ends = array("Q")
        self._labels = array("q")  # wider than Caffe's: the pipeline checks them and says which is too large
        self._annotations = PackedAnnotations()

    @abstractmethod
    def _locate(self, index: int, name: str) -> Location:
        """Returns where the bytes of job `index` are."""

    def _make(self, position: int) -> Job:
        begin = self._ends[position - 1] if position else 0
        name = self._names[begin : self._ends[position]].decode()
        return Job(
            name=name,
            label=self._labels[position],
            location=self._locate(position, name),
            annotation=self._annotations[position] if self._annotations else None,
        )

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def labels(self) -> Sequence[int]:
        """The labels, in order."""
        return self._labels

    def _append(self, name: str, label: int, annotation: Annotation | None = None) -> None:
        if annotation is not None:
            self._annotations.append(annotation)
        self._names += name.encode()
        self._ends.append(len(self._names))
        self._labels.append(label)


class FileJobs(PackedJobs):
    """Images in files: a job's name is the path below one root folder."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self._root = root.absolute()

    def add(self, name: str, label: int = NO_LABEL, annotation: Annotation | None = None) -> None:
        """Appends the image `root/name`, with its label or its boxes."""
        self._append(name, label, annotation)

    def _locate(self, index: int, name: str) -> Location:
        del index
        return File(self._root / name)


class _Archives:
    """Paths, each kept once and known by a number."""

    def __init__(self) -> None:
        self._numbers: dict[Path, int] = {}
        self._paths: list[Path] = []
        self._which = array("L")

    def append(self, path: Path) -> None:
        """Notes the archive of the next job."""
        if path not in self._numbers:
            self._numbers[path] = len(self._paths)
            self._paths.append(path.absolute())
        self._which.append(self._numbers[path])

    def __getitem__(self, index: int) -> Path:
        return self._paths[self._which[index]]


class MemberJobs(PackedJobs):
    """Images that are members of archives."""

    def __init__(self) -> None:
        super().__init__()
        self._archives = _Archives()
        self._offsets = array("Q")
        self._sizes = array("Q")

    def add(self, name: str, label: int, member: Member, annotation: Annotation | None = None) -> None:
        """Appends a member, with its label or its boxes."""
        self._append(name, label, annotation)
        self._archives.append(member.archive)
        self._offsets.append(member.offset)
        self._sizes.append(member.size)

    def _locate(self, index: int, name: str) -> Location:
        del name
        return Member(self._archives[index], self._offsets[index], self._sizes[index])


class PixelJobs(PackedJobs):
    """Images that lie as bare pixels of one size in files."""

    def __init__(self, *, channels: int, height: int, width: int) -> None:
        super().__init__()
        self._shape = (channels, height, width)
        self._archives = _Archives()
        self._offsets = array("Q")

    def add(self, name: str, label: int, archive: Path, offset: int) -> None:
        """Appends the image whose planes begin at `offset`."""
        self._append(name, label)
        self._archives.append(archive)
        self._offsets.append(offset)

    def _locate(self, index: int, name: str) -> Location:
        del name
        return Pixels(self._archives[index], self._offsets[index], *self._shape)
