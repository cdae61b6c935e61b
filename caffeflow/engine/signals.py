"""What Ctrl-C and SIGHUP ask of a run; it looks between iterations, as Caffe does."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

_STOPPING: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Requests:
    """What was asked for since the last look."""

    stop: bool = False
    snapshot: bool = False

    def take_snapshot(self) -> bool:
        """Whether a snapshot was asked for; asks are answered once."""
        wanted, self.snapshot = self.snapshot, False
        return wanted


@contextmanager
def listening() -> Iterator[Requests]:
    """Turns SIGINT and SIGTERM into a stop, SIGHUP into a snapshot; a second SIGINT ends at once."""
    requests = Requests()
    if threading.current_thread() is not threading.main_thread():
        yield requests  # only the main thread may set handlers
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        if requests.stop:
            raise KeyboardInterrupt
        requests.stop = True

    def snapshot(_number: int, _frame: FrameType | None) -> None:
        requests.snapshot = True

    handlers = dict.fromkeys(_STOPPING, stop)
    if hasattr(signal, "SIGHUP"):
        handlers[signal.SIGHUP] = snapshot
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
