"""Which signal asks to stop, and which one stops at once."""

from __future__ import annotations

import signal
import threading

import pytest

from caffeflow.workflows.stop_signals import StopRequest, stop_request


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_stops(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with stop_request() as should_stop:
        assert not should_stop()
        signal.raise_signal(number)
        assert should_stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_work_that_never_asks_is_stopped_at_once() -> None:
    with stop_request(), pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_other_threads_have_no_signals() -> None:
    found: list[StopRequest] = []

    def work() -> None:
        with stop_request() as should_stop:
            found.append(should_stop)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert not found[0]()
