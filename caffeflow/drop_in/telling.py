"""What a training tells: the log, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from caffeflow.drop_in.glog import Log
from caffeflow.engine.lines import LogLine

if TYPE_CHECKING:
    from caffeflow.engine.loop import Shown, Tested
    from caffeflow.engine.snapshot import SnapshotFiles


class Telling:
    """Listens to a run; all figures are in its lines already.

    Args:
        log: Where the lines go.
    """

    def __init__(self, log: Log) -> None:
        self._log: Final = log

    def line(self, line: LogLine) -> None:
        """Writes a line."""
        self._log.write(line)

    def shown(self, shown: Shown) -> None:
        """Does nothing: the figures were in lines."""

    def tested(self, tested: Tested) -> None:
        """Does nothing: the figures were in lines."""

    def iterated(self, done: int) -> None:
        """Does nothing: there is no bar to move."""

    def snapshotted(self, files: SnapshotFiles) -> None:
        """Does nothing: the files were named before they were written."""
