"""Ctrl-C for long work that can be resumed: the first one asks it to stop at a safe place."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Knows whether the user asked to stop; work that can stop safely calls it from time to time.

    Before it is armed, and from the second signal on, a signal is a KeyboardInterrupt: there is nothing yet
    to keep safe, or the user does not want to wait.
    """

    def __init__(self) -> None:
        self._is_armed = False
        self._is_asked = False

    def __call__(self) -> bool:
        """Returns whether to stop; who asks will go on asking, so this arms it too."""
        self.arm()
        return self._is_asked

    def arm(self) -> None:
        """Makes the next signal a request: from here on there is something to keep safe."""
        self._is_armed = True

    def ask(self, signum: int = signal.SIGINT, frame: FrameType | None = None) -> None:
        """Asks to stop; it is also a signal handler."""
        del signum, frame
        if self._is_asked or not self._is_armed:
            raise KeyboardInterrupt
        self._is_asked = True


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Routes Ctrl-C and SIGTERM to a `StopRequest` while the body runs."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():  # only the main thread has signals
        yield request
        return
    before: dict[signal.Signals, Any] = {each: signal.signal(each, request.ask) for each in _SIGNALS}
    try:
        yield request
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
