"""Starts the stand-in for `caffe`: `caffeflow-caffe` and `python -m caffeflow.drop_in`."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Runs the command and exits with its code."""
    # A compiled program dies of these two; Python would show a traceback instead.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from caffeflow.drop_in.command import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
