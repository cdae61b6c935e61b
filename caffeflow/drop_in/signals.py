"""What Ctrl-C and SIGHUP do to a training, as `-sigint_effect` and `-sighup_effect` choose.

The one rule to know: SIGTERM is left alone, so it kills, as it kills Caffe.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from caffeflow.drop_in.gflags import CommandLine
from caffeflow.drop_in.glog import FatalError
from caffeflow.engine.signals import Requests

_EFFECTS: Final = ("snapshot", "stop", "none")
_FLAGS: Final = {signal.SIGINT: "sigint_effect", signal.SIGHUP: "sighup_effect"}


@contextmanager
def obeying(line: CommandLine) -> Iterator[Requests]:
    """Turns signals into what the flags say.

    Raises:
        FatalError: A flag names an effect that there is not.
    """
    effects: dict[int, str] = {number: line.text(flag) for number, flag in _FLAGS.items()}
    for effect in effects.values():
        if effect not in _EFFECTS:
            raise FatalError(
                f'Invalid signal effect "{effect}" was specified; expected snapshot, stop or none',
                "caffe.cpp:162",
            )
    requests = Requests()
    if threading.current_thread() is not threading.main_thread():
        yield requests  # only the main thread may set handlers
        return

    def take(number: int, _frame: FrameType | None) -> None:
        effect = effects[number]
        requests.stop = requests.stop or effect == "stop"
        requests.snapshot = requests.snapshot or effect == "snapshot"

    before = {number: signal.signal(number, take) for number in _FLAGS}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
