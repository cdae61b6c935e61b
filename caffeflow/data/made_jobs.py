"""Job lists that make a job when it is asked for, so that millions of them take little memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import overload

from caffeflow.data.sample import Job


class MadeJobs(Sequence[Job]):
    """A sequence of jobs; how one is made is the subclass's matter."""

    @overload
    def __getitem__(self, index: int) -> Job: ...
    @overload
    def __getitem__(self, index: slice) -> list[Job]: ...
    def __getitem__(self, index: int | slice) -> Job | list[Job]:
        """Makes the job, or the list of jobs of a slice."""
        if isinstance(index, slice):
            return [self._make(position) for position in range(*index.indices(len(self)))]
        return self._make(range(len(self))[index])

    @abstractmethod
    def _make(self, position: int) -> Job:
        """Returns the job at a position from 0 on."""
