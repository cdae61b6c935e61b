"""What a source left out as it listed: counted with the rejects of the build, and listed before them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

from caffeflow.data.sample import Omission
from caffeflow.errors import DataError
from caffeflow.files import write_atomically

OMISSIONS_NAME: Final = "omissions.txt"

_CONTROL: Final = re.compile(r"[\x00-\x1f]")

Counts: TypeAlias = Mapping[str, Mapping[str, int]]


def refuse_omissions(omissions: Sequence[Omission]) -> None:
    """Raises DataError about the first of what was left out: `--strict` wants nothing left out."""
    if not omissions:
        return
    first = omissions[0]
    what = f"image '{first.name}'" + (f": box {first.detail}" if first.is_box else "")
    more = f", and {len(omissions) - 1} more like it" if len(omissions) > 1 else ""
    raise DataError(
        f"{first.split}: {what}: {first.reason}{more} (without --strict such are counted and left out)"
    )


def count_omissions(omissions: Iterable[Omission], *, boxes: bool) -> dict[str, dict[str, int]]:
    """Returns how many were left out of each split, by reason: either images or boxes."""
    counts: dict[str, Counter[str]] = {}
    for omission in omissions:
        if omission.is_box == boxes:
            counts.setdefault(omission.split, Counter())[omission.reason] += 1
    return {split: dict(sorted(counted.items())) for split, counted in counts.items()}


def write_omissions(work_dir: Path, omissions: Iterable[Omission]) -> None:
    """Writes them as `rejects.txt` will have them."""
    lines = (reject_line(o.split, o.name, o.reason, o.detail) + b"\n" for o in omissions)
    write_atomically(work_dir / OMISSIONS_NAME, lines)


def reject_line(split: str, name: str, reason: str, detail: str = "") -> bytes:
    """Returns a line of `rejects.txt`, without its end: split, image, reason, and what is known besides."""
    fields = [split, name, reason, *([detail] if detail else [])]
    return os.fsencode("\t".join(_CONTROL.sub(" ", field) for field in fields))
