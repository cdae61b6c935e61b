"""What every sink offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from caffeflow.data.convert import Converted, Packed, Picture
from caffeflow.data.sample import Job


@dataclass(frozen=True, kw_only=True)
class SinkStart:
    """Where a sink begins.

    Attributes:
        out_dir: The dataset folder.
        split: `train` or `val`.
        done: Jobs that the journal says are dealt with; what was written beyond them is dropped.
        state: What `commit` returned then; empty at the beginning.
        expected_bytes: Forecast of the whole split.
    """

    out_dir: Path
    split: str
    done: int = 0
    state: Mapping[str, int] = field(default_factory=dict)
    expected_bytes: int = 0


class Sink(Protocol):
    """Writes one split. `pack` is called by many threads, the rest by one, in the order of the list."""

    def __init__(self, start: SinkStart) -> None: ...

    @property
    def path(self) -> str:
        """Name of the LMDB folder or list file within the dataset folder."""

    @property
    def root(self) -> str | None:
        """Name of the folder that a list's paths start from, None for an LMDB."""

    @property
    def name_size(self) -> str | None:
        """Name of the file of image names and sizes, for detection."""

    def pack(self, index: int, job: Job, picture: Picture) -> Packed:
        """Returns the record of a picture."""

    def add(self, record: Converted) -> None:
        """Writes the next record.

        Raises:
            OSError: The system's reason, with the path.
        """

    def commit(self) -> dict[str, int]:
        """Makes all records so far durable, and returns what is needed to go on from here.

        Raises:
            OSError: The system's reason, with the path.
        """

    def close(self) -> None:
        """Closes; what was not committed is given up."""
