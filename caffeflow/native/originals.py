"""What a patched tree was before: kept beside it, so that undo gives back every byte.

`.caffeflow/originals/` in the tree holds each changed file as it was, `.caffeflow/manifest.json` the
digests of what it was and of everything we made of it. Originals and manifest are written before the
first file is changed; so a stop at any moment leaves a tree that can be patched on or undone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from caffeflow.errors import DataError, NativeError
from caffeflow.files import write_atomically
from caffeflow.native.tree import Tree

FOLDER: Final = ".caffeflow"
_ORIGINALS: Final = "originals"
_MANIFEST: Final = "manifest.json"
_IGNORE: Final = ".gitignore"  # the kept files are nobody's to commit


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """One file before and after.

    Attributes:
        path: The file, relative to the tree.
        before: Its bytes, or None if it is added.
        after: Its new bytes.
    """

    path: str
    before: bytes | None
    after: bytes


@dataclass(kw_only=True)
class _Kept:
    """A patched file: the digest of its original (None: it was added), and of all that we made of it."""

    before: str | None
    ours: list[str]

    def knows(self, digest: str | None) -> bool:
        return digest == self.before or digest in self.ours


@dataclass(kw_only=True)
class _Manifest:
    patches: list[str] = field(default_factory=list)
    files: dict[str, _Kept] = field(default_factory=dict)
    folders: list[str] = field(default_factory=list)  # that did not exist, outer ones first


def is_patched(tree: Tree) -> bool:
    """Tells whether patches of ours are in a tree."""
    return tree.has(f"{FOLDER}/{_MANIFEST}")


def applied_patches(tree: Tree) -> tuple[str, ...]:
    """Returns the patches that were applied to a tree and not undone."""
    return tuple(_read_manifest(tree).patches)


def write(tree: Tree, changes: Sequence[FileChange], *, patches: Iterable[str]) -> None:
    """Writes changes into a tree, all or none, with the originals kept.

    Raises:
        NativeError: A file cannot be written, or was changed since it was patched.
    """
    if not changes:
        return
    manifest = _read_manifest(tree)
    _check_unchanged(tree, manifest, changes)
    with ExitStack() as rollback:
        if not is_patched(tree):
            rollback.callback(_remove_folder, tree)
        else:
            rollback.callback(_write, tree, f"{FOLDER}/{_MANIFEST}", tree.read_bytes(f"{FOLDER}/{_MANIFEST}"))
        _keep(tree, manifest, changes, patches)
        for change in changes:
            rollback.callback(_put_back, tree, change)
            _write(tree, change.path, change.after)
        rollback.pop_all()


def restore(tree: Tree) -> list[str]:
    """Gives every patched file its original bytes, removes what was added, and forgets both.

    Raises:
        NativeError: The tree was not patched, a file was changed since, or an original is damaged.
    """
    if not is_patched(tree):
        raise NativeError(f"'{tree.root}' has no patches to undo: it has no {FOLDER}/{_MANIFEST}")
    manifest = _read_manifest(tree)
    for path in (*manifest.files, *manifest.folders):
        _inside(tree, path)
    changed = [
        path for path, kept in manifest.files.items()
        if tree.has(path) and not kept.knows(_digest(tree.read_bytes(path)))
    ]  # fmt: skip
    if changed:
        raise NativeError(
            f"'{tree.root}': changed since it was patched: {', '.join(changed)}; nothing was undone: take"
            f" those changes out first (the originals are in {FOLDER}/{_ORIGINALS})"
        )
    originals = {
        path: _original(tree, path, kept) for path, kept in manifest.files.items() if kept.before is not None
    }
    for path in manifest.files:
        if path in originals:
            _write(tree, path, originals[path])
        else:
            _inside(tree, path).unlink(missing_ok=True)
    for folder in reversed(manifest.folders):
        _remove_if_empty(_inside(tree, folder))
    _remove_folder(tree)
    return sorted(manifest.files)


def _check_unchanged(tree: Tree, manifest: _Manifest, changes: Sequence[FileChange]) -> None:
    for change in changes:
        now = tree.read_bytes(change.path) if tree.has(change.path) else None
        if now != change.before:
            raise NativeError(f"'{tree.root / change.path}' changed while patches were worked out; try again")
        kept = manifest.files.get(change.path)
        if kept and now is not None and not kept.knows(_digest(now)):
            raise NativeError(
                f"'{tree.root / change.path}' was changed since it was patched, and --undo could not give"
                f" that back; take the change out, or remove {FOLDER}: the tree then counts as pristine"
            )


def _keep(tree: Tree, manifest: _Manifest, changes: Sequence[FileChange], patches: Iterable[str]) -> None:
    """Writes the originals of files that are changed for the first time, and then the manifest."""
    for change in changes:
        kept = manifest.files.get(change.path)
        if kept is None:
            before = None if change.before is None else _digest(change.before)
            kept = manifest.files[change.path] = _Kept(before=before, ours=[])
            if change.before is not None:
                _write(tree, f"{FOLDER}/{_ORIGINALS}/{change.path}", change.before)
            parents = PurePosixPath(change.path).parents[:-1]
            missing = [str(folder) for folder in reversed(parents) if not tree.has(str(folder))]
            manifest.folders += [folder for folder in missing if folder not in manifest.folders]
        kept.ours.append(_digest(change.after))
    manifest.patches += [patch for patch in patches if patch not in manifest.patches]
    content = {
        "patches": manifest.patches,
        "folders": manifest.folders,
        "files": {path: {"before": kept.before, "ours": kept.ours} for path, kept in manifest.files.items()},
    }
    _write(tree, f"{FOLDER}/{_IGNORE}", b"*\n")
    _write(tree, f"{FOLDER}/{_MANIFEST}", (json.dumps(content, indent=2) + "\n").encode())


def _read_manifest(tree: Tree) -> _Manifest:
    if not is_patched(tree):
        return _Manifest()
    path = f"{FOLDER}/{_MANIFEST}"
    try:
        content = json.loads(tree.read_bytes(path))
        files = {
            name: _Kept(before=kept["before"], ours=list(kept["ours"]))
            for name, kept in content["files"].items()
        }
        return _Manifest(patches=list(content["patches"]), files=files, folders=list(content["folders"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NativeError(
            f"'{tree.root / path}' is damaged; expected the file that patching wrote"
        ) from error


def _original(tree: Tree, path: str, kept: _Kept) -> bytes:
    place = f"{FOLDER}/{_ORIGINALS}/{path}"
    data = tree.read_bytes(place)
    if _digest(data) != kept.before:
        raise NativeError(f"'{tree.root / place}' is not the original that was kept; nothing was undone")
    return data


def _put_back(tree: Tree, change: FileChange) -> None:
    if change.before is None:
        place = _inside(tree, change.path)
        if place.is_file():
            place.unlink()
        for folder in PurePosixPath(change.path).parents[:-1]:
            _remove_if_empty(_inside(tree, str(folder)))
    else:
        _write(tree, change.path, change.before)


def _write(tree: Tree, path: str, data: bytes) -> None:
    """Writes a file of the tree whole; one that was there keeps its mode and owner."""
    place = _inside(tree, path)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        was = place.stat() if place.exists() else None
        write_atomically(place, data)
        if was is not None:
            place.chmod(was.st_mode)
            if place.stat().st_uid != was.st_uid:
                os.chown(place, was.st_uid, was.st_gid)
    except DataError as error:
        raise NativeError(str(error)) from error
    except OSError as error:
        raise NativeError(f"'{place}' cannot be written: {error.strerror}") from error


def _inside(tree: Tree, path: str) -> Path:
    """Returns a path in the tree; a manifest or a link that leads out of it is refused."""
    place = tree.root / path
    if not place.parent.resolve().is_relative_to(tree.root) or ".." in PurePosixPath(path).parts:
        raise NativeError(f"'{path}' leads out of '{tree.root}'; only files of the tree are written")
    return place


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _remove_folder(tree: Tree) -> None:
    """Removes what patching keeps, and its folder unless another wrote there."""
    folder = tree.root / FOLDER
    (folder / _MANIFEST).unlink(missing_ok=True)  # first: what is left without it is only litter
    shutil.rmtree(folder / _ORIGINALS, ignore_errors=True)
    (folder / _IGNORE).unlink(missing_ok=True)
    _remove_if_empty(folder)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
