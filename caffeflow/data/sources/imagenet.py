"""ImageNet (ILSVRC2012) straight from its published archives, or from folders that they unpack to.

The train archive is a tar of one tar for each synset. Nothing is unpacked: the index says where the bytes of
each picture lie. Labels are the places of the sorted synsets, as in Caffe's `train.txt`, so the train side
needs no other file. A part of the synsets works too, and then has fewer labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from caffeflow.data.archives import Entry, inner_entries, tar_entries
from caffeflow.data.ilsvrc import CLASSES, SYNSET, ImagenetSettings, find_files, names_in
from caffeflow.data.ilsvrc_labels import Truth, read_truth, read_words
from caffeflow.data.packed import FileJobs, MemberJobs, PackedJobs
from caffeflow.data.raw_files import Tell, tell_nobody
from caffeflow.data.sample import Listing, Member, SplitName
from caffeflow.data.sources.folder import images_below, is_image
from caffeflow.errors import DataError

__all__ = ["ImagenetSettings", "list_jobs"]


@dataclass(frozen=True, slots=True)
class _Archive:
    """The tar of one synset: a file, or a member of the train archive."""

    path: Path
    inner: Entry | None

    @property
    def size(self) -> int:
        return self.inner.size if self.inner else self.path.stat().st_size

    def images(self) -> list[Entry]:
        entries = inner_entries(self.path, self.inner) if self.inner else tar_entries(self.path)
        return sorted((entry for entry in entries if is_image(entry.name)), key=lambda entry: entry.name)


@dataclass(frozen=True, slots=True)
class _Picture:
    """A val picture; `entry` is None for a file."""

    name: str
    synset: str
    entry: Entry | None


def list_jobs(settings: ImagenetSettings, *, tell: Tell = tell_nobody) -> Listing:
    """Lists the pictures of both splits, sorted by synset and name.

    Args:
        settings: Where the files are.
        tell: Hears how far the indexing is; of the whole train archive it takes minutes on a hard disk.

    Raises:
        DataError: Files are missing (then it says what to get), damaged, or do not fit together.
    """
    files = find_files(settings)
    splits: dict[SplitName, PackedJobs] = {}
    notes: list[str] = []
    classes: tuple[str, ...] | None = None
    if files.train is not None:
        classes, splits["train"] = _list_train(files.train, tell)
    truth = read_truth(files.val_labels, classes) if files.val_labels else None
    if files.val is not None:
        pictures = list(_val_pictures(files.val, truth, tell))
        if classes is None:  # no train split says them
            classes = tuple(sorted(set(truth.synsets.values() if truth else (p.synset for p in pictures))))
        splits["val"] = _list_val(files.val, pictures, classes, notes)
    classes = classes or ()
    if len(classes) != CLASSES:
        notes.append(f"{len(classes)} of {CLASSES} synsets: labels are places among these, not Caffe's")
    words = (truth.words if truth else {}) or (read_words(files.words) if files.words else {})
    names = tuple(f"{synset} {words.get(synset, '')}".rstrip() for synset in classes)
    return Listing(splits=splits, class_names=names, notes=tuple(notes))


def _list_train(path: Path, tell: Tell) -> tuple[tuple[str, ...], PackedJobs]:
    """Returns the sorted synsets and the jobs of an archive, of a folder of archives, or of folders."""
    if path.is_file():
        inner = (entry for entry in tar_entries(path) if entry.name.endswith(".tar"))
        return _list_archives(
            path, {PurePosixPath(each.name).stem: _Archive(path, each) for each in inner}, tell
        )
    names = names_in(path)
    folders = [name for name in names if SYNSET.fullmatch(name) and (path / name).is_dir()]
    tars = {name.removesuffix(".tar") for name in names if name.endswith(".tar")}
    left = sorted(synset for synset in tars - set(folders) if SYNSET.fullmatch(synset))
    if not folders:
        return _list_archives(path, {synset: _Archive(path / f"{synset}.tar", None) for synset in left}, tell)
    if left:
        raise DataError(
            f"{path}: {len(folders)} synsets are folders, and {len(left)} are archives only, such as "
            f"'{left[0]}.tar'; unpack all of them, or none"
        )
    return _list_folders(path, folders)


def _list_archives(
    path: Path, archives: Mapping[str, _Archive], tell: Tell
) -> tuple[tuple[str, ...], PackedJobs]:
    classes = _checked_classes(path, archives)
    jobs = MemberJobs()
    done, total = 0, sum(archive.size for archive in archives.values())
    for label, synset in enumerate(classes):
        tell(f"indexing {path.name}", done, total)
        archive = archives[synset]
        images = archive.images()
        if not images:
            raise DataError(f"{archive.path}: the archive of {synset} has no images; get it again")
        for entry in images:
            name = f"{synset}/{entry.name.rpartition('/')[2]}"
            jobs.add(name, label, Member(archive.path, entry.offset, entry.size))
        done += archive.size
    tell(f"indexing {path.name}", done, total)
    return classes, jobs


def _list_folders(path: Path, folders: Sequence[str]) -> tuple[tuple[str, ...], PackedJobs]:
    classes = _checked_classes(path, folders)
    jobs = FileJobs(path)
    for label, synset in enumerate(classes):
        names = images_below(path, synset, Counter())
        if not names:
            raise DataError(f"{path / synset}: has no images; unpack its archive again, or remove the folder")
        for name in names:
            jobs.add(name, label)
    return classes, jobs


def _checked_classes(path: Path, synsets: Iterable[str]) -> tuple[str, ...]:
    classes = tuple(sorted(synsets))
    wrong = next((synset for synset in classes if not SYNSET.fullmatch(synset)), None)
    if wrong is not None or len(classes) < 2:
        found = f"one for '{wrong}'" if wrong is not None else f"{len(classes)}"
        raise DataError(
            f"{path}: expected an archive or a folder for each of at least two synsets, named like "
            f"n01440764; found {found}"
        )
    return classes


def _val_pictures(path: Path, truth: Truth | None, tell: Tell) -> Iterator[_Picture]:
    """Yields the val pictures by name: by class folders, or with the synsets of a truth."""
    if truth is None:
        for folder in (name for name in names_in(path) if SYNSET.fullmatch(name)):
            for name in images_below(path, folder, Counter()):
                yield _Picture(name, folder, None)
        return
    entries = _val_entries(path, tell)
    for name in sorted(entries):
        synset = truth.synsets.get(PurePosixPath(name).name)
        if synset is None:
            raise DataError(
                f"{path}: image '{name}' is not in {truth.origin}; expected the labels of these very images"
            )
        yield _Picture(name, synset, entries[name])


def _val_entries(path: Path, tell: Tell) -> dict[str, Entry | None]:
    """Returns the images of a folder or an archive by name."""
    if path.is_dir():
        return dict.fromkeys(images_below(path, "", Counter()))
    total = path.stat().st_size
    entries: dict[str, Entry | None] = {}
    for entry in tar_entries(path):
        if is_image(entry.name):
            entries[entry.name] = entry
            tell(f"indexing {path.name}", entry.offset, total)
    return entries


def _list_val(
    path: Path, pictures: Sequence[_Picture], classes: Sequence[str], notes: list[str]
) -> PackedJobs:
    labels = {synset: label for label, synset in enumerate(classes)}
    files, members = FileJobs(path), MemberJobs()
    foreign = 0
    for picture in pictures:
        label = labels.get(picture.synset)
        if label is None:
            foreign += 1
        elif picture.entry is None:
            files.add(picture.name, label)
        else:
            members.add(picture.name, label, Member(path, picture.entry.offset, picture.entry.size))
    jobs: PackedJobs = files if len(files) else members
    if not len(jobs):
        raise DataError(f"{path}: has no images of the {len(classes)} synsets that the train split has")
    if foreign:
        notes.append(f"{path}: left out {foreign} images of synsets that the train split lacks")
    return jobs
