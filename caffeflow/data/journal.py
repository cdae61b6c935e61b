"""How far a build is, on disk: one line after each commit, and nothing that was not durable before it.

A line that a kill left half-written has no line end, or does not parse, and is cut off on reading.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from caffeflow.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The state of a split after a commit.

    Attributes:
        split: Its name.
        tally: The counts, `Tally.to_json`.
        sink: What the sink needs to go on, such as the length of a list.
        rejects: Length of the rejects file in bytes.
        sums: File name of the mean's sums, if a mean is still possible.
    """

    split: str
    tally: dict[str, Any]
    sink: dict[str, int] = field(default_factory=dict)
    rejects: int = 0
    sums: str | None = None


def read_journal(path: Path) -> dict[str, Entry]:
    """Returns the newest entry of each split, and cuts a half-written line off the file."""
    entries: dict[str, Entry] = {}
    if not path.exists():
        return entries
    good = 0
    with path.open("rb") as lines:
        for line in lines:
            entry = _find_entry(line)
            if entry is None:
                break
            entries[entry.split] = entry
            good += len(line)
    os.truncate(path, good)
    return entries


class Journal:
    """The journal file, open for writing."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")

    def write(self, entry: Entry) -> None:
        """Adds a line, durably."""
        self._file.write(json.dumps(asdict(entry), separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


class CountedText:
    """A text file that grows in step with the journal, which knows its length at each commit.

    Args:
        path: The file; made if missing.
        length: Bytes to keep; what was written after the last commit is cut off.
    """

    def __init__(self, path: Path, *, length: int) -> None:
        if length > (path.stat().st_size if path.exists() else 0):
            raise DataError(f"{path}: is shorter than the journal says ({length}); begin anew with --force")
        self._file = path.open("ab")
        self._file.truncate(length)
        self._file.seek(0, os.SEEK_END)
        self._is_durable = True

    def add(self, line: bytes) -> None:
        """Adds a line."""
        self._file.write(line + b"\n")
        self._is_durable = False

    def commit(self) -> int:
        """Makes it durable and returns its length in bytes."""
        if not self._is_durable:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._is_durable = True
        return self._file.tell()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()


def _find_entry(line: bytes) -> Entry | None:
    if not line.endswith(b"\n"):
        return None
    try:
        return Entry(**json.loads(line))
    except (ValueError, TypeError):
        return None
