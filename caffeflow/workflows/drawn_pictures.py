"""Where pictures go that something was drawn into: below a folder, under their own names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from caffeflow import images
from caffeflow.errors import DataError, UsageError
from caffeflow.files import write_atomically
from caffeflow.images import Image
from caffeflow.workflows.detect_images import Picture

_WRITTEN: Final = (".jpg", ".jpeg", ".png")


def place_of(picture: Picture, out_dir: Path) -> Path:
    """Returns where a drawn picture goes: under its name, as JPEG unless it is JPEG or PNG."""
    path = out_dir / picture.name
    return path if path.suffix.lower() in _WRITTEN else path.with_suffix(f"{path.suffix}.jpg")


def check_free(pictures: Sequence[Picture], out_dir: Path | None, *, force: bool) -> None:
    """Looks for what drawn pictures would replace.

    Raises:
        UsageError: The pictures themselves, each other, or, without `force`, ones drawn before.
    """
    if out_dir is None:
        return
    places = Counter(place_of(picture, out_dir) for picture in pictures)
    twice = next((place for place, count in places.items() if count > 1), None)
    if twice is not None:
        named = " and ".join(str(picture.path) for picture in pictures if place_of(picture, out_dir) == twice)
        raise UsageError(f"{named}: would both be drawn as {twice}; take one folder after the other")
    for picture in pictures:
        drawn = place_of(picture, out_dir)
        if drawn.exists() and drawn.samefile(picture.path):
            raise UsageError(
                f"--out {out_dir}: would replace {picture.path} by the drawn picture; name another folder"
            )
        if drawn.exists() and not force:
            raise UsageError(f"{drawn} is there already; replace it with --force, or name another folder")


def write_drawn(image: Image, path: Path) -> None:
    """Writes a picture whole or not at all, making its folder.

    Raises:
        DataError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{path.parent}: cannot make this folder: {error.strerror}") from error
    write_atomically(path, images.encode(image, path.suffix.lower().removeprefix(".")))
