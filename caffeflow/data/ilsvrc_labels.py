"""The labels of ImageNet's val pictures, which are not named by synset, and the synsets in words.

The truth comes from one of these, in this order of preference:

1. the devkit's ground truth, whose numbers (1 to 1000, in an order of its own) the devkit's table explains;
2. `LOC_val_solution.csv` of the Kaggle edition, which names synsets;
3. Caffe's `val.txt`, alone or in `caffe_ilsvrc12.tar.gz`, with Caffe's labels.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from caffeflow.data import ilsvrc
from caffeflow.data.archives import read_members
from caffeflow.data.ilsvrc import CAFFE_LIST, CAFFE_SYNSETS, CAFFE_TAR, CAFFE_WORDS, DEVKIT, SYNSET
from caffeflow.data.matlab import read_struct_array
from caffeflow.errors import DataError

_TRUTH_NAME, _META_NAME = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"
_BESIDE: Final = (CAFFE_SYNSETS, CAFFE_WORDS)


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What one source knows.

    Attributes:
        origin: The file or folder.
        synsets: The synset of each val picture, by file name.
        words: Words by synset ("tench, Tinca tinca"); empty if the source has none.
    """

    origin: Path
    synsets: Mapping[str, str]
    words: Mapping[str, str] = field(default_factory=dict)


def read_truth(path: Path, classes: Sequence[str] | None) -> Truth:
    """Reads val labels from any of the sources, told apart by what is in them.

    Args:
        path: The devkit or Caffe's files (an archive or a folder), a CSV file, or a list.
        classes: The sorted synsets of the train split, if known. A bare list of Caffe's labels counts in
            them, so they must be as many as the list has.

    Raises:
        DataError: It is none of these, or damaged.
    """
    if path.suffix == ".csv":
        return _kaggle_truth(path)
    if path.suffix == ".txt":
        found = {name: _read(path.parent / name) for name in _BESIDE if (path.parent / name).is_file()}
        return _caffe_truth({**found, CAFFE_LIST: _read(path)}, path, classes)
    found = _contents(path, (_TRUTH_NAME, _META_NAME, CAFFE_LIST, *_BESIDE))
    if _TRUTH_NAME in found:
        return _devkit_truth(found, path)
    if CAFFE_LIST in found:
        return _caffe_truth(found, path, classes)
    raise DataError(
        f"{path}: has neither {_TRUTH_NAME} nor {CAFFE_LIST}; expected {DEVKIT.name} or {CAFFE_TAR}"
    )


def read_words(path: Path) -> Mapping[str, str]:
    """Returns words by synset from the devkit, Caffe's files, or a list of synsets and words."""
    if path.name in (DEVKIT.name, ilsvrc.DEVKIT_FOLDER):
        return _devkit_synsets(_contents(path, (_META_NAME,)), path)[1]
    if path.name == CAFFE_TAR:
        return _words(_contents(path, (CAFFE_WORDS,)).get(CAFFE_WORDS, b""))
    return _words(_read(path))


def _devkit_truth(found: Mapping[str, bytes], path: Path) -> Truth:
    by_id, words = _devkit_synsets(found, path)
    synsets: dict[str, str] = {}
    for number, line in enumerate(found[_TRUTH_NAME].split(), 1):
        synset = by_id.get(int(line)) if line.isdigit() else None
        if synset is None:
            raise DataError(
                f"{path}: {_TRUTH_NAME}:{number}: '{line.decode(errors='replace')}' is not the number of a "
                f"class in {_META_NAME}; get the devkit again"
            )
        synsets[f"ILSVRC2012_val_{number:08}.JPEG"] = synset
    return Truth(origin=path, synsets=synsets, words=words)


def _devkit_synsets(found: Mapping[str, bytes], path: Path) -> tuple[dict[int, str], dict[str, str]]:
    """Returns the synset of each number, and the words of each synset."""
    if _META_NAME not in found:
        raise DataError(f"{path}: has no {_META_NAME}; expected {DEVKIT.name}, whole or unpacked")
    by_id: dict[int, str] = {}
    words: dict[str, str] = {}
    for row in read_struct_array(found[_META_NAME], "synsets", where=f"{path}: {_META_NAME}"):
        number, synset, text = row.get("ILSVRC2012_ID"), row.get("WNID"), row.get("words")
        if not isinstance(number, float) or not isinstance(synset, str):
            raise DataError(f"{path}: {_META_NAME}: a row lacks ILSVRC2012_ID or WNID; get the devkit again")
        by_id[int(number)] = synset
        if isinstance(text, str):
            words[synset] = text
    return by_id, words


def _kaggle_truth(path: Path) -> Truth:
    """Reads `ImageId,PredictionString` lines; the string begins with the synset of the first box."""
    synsets: dict[str, str] = {}
    for number, row in enumerate(csv.reader(_text(_read(path), path).splitlines()), 1):
        synset = row[1].split(" ", 1)[0] if len(row) > 1 else ""
        if SYNSET.fullmatch(synset):
            synsets[f"{row[0]}.JPEG"] = synset
        elif number > 1:
            raise DataError(
                f"{path}:{number}: expected a picture, a comma and its synset; found '{','.join(row)[:60]}'"
            )
    return Truth(origin=path, synsets=synsets)


def _caffe_truth(found: Mapping[str, bytes], path: Path, classes: Sequence[str] | None) -> Truth:
    labels = _caffe_labels(_text(found[CAFFE_LIST], path), path)
    words = _words(found.get(CAFFE_WORDS, b""))
    listed = _text(found.get(CAFFE_SYNSETS, b""), path).split() or sorted(words)
    order: Sequence[str] = listed or classes or ()
    highest = max(labels.values(), default=-1)
    # Without a list of the synsets, labels mean those of the train split, if they are as many.
    if highest >= len(order) or (not listed and len(order) not in (highest + 1, ilsvrc.CLASSES)):
        raise DataError(
            f"{path}: has labels up to {highest}, and {len(order)} synsets are known; without "
            f"{CAFFE_SYNSETS} it cannot be said which is which: use {DEVKIT.name} or {CAFFE_TAR}"
        )
    return Truth(origin=path, synsets={name: order[label] for name, label in labels.items()}, words=words)


def _caffe_labels(text: str, path: Path) -> dict[str, int]:
    labels: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, _, label = line.rstrip().rpartition(" ")
        if not (label.isascii() and label.isdecimal() and name):
            raise DataError(f"{path}:{number}: expected a path, a space and a label; found '{line[:60]}'")
        labels[PurePosixPath(name).name] = int(label)
    return labels


def _words(content: bytes) -> dict[str, str]:
    """Reads lines such as `n01440764 tench, Tinca tinca`."""
    pairs = (line.strip().partition(" ") for line in content.decode(errors="replace").splitlines())
    return {synset: words for synset, _, words in pairs if SYNSET.fullmatch(synset)}


def _contents(path: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Returns the files of these names from an archive or a folder, at any depth, by their last part."""
    if path.is_dir():
        files = (file for file in sorted(path.rglob("*")) if file.name in names and file.is_file())
        return {file.name: _read(file) for file in files}
    members = read_members(path, lambda name: PurePosixPath(name).name in names)
    return {PurePosixPath(name).name: content for name, content in members.items()}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _text(content: bytes, path: Path) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not text; expected the labels of ImageNet's val pictures") from error
