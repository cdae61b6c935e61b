"""Logs in the line shapes of `caffe train`, put together for tests; no line is from a real file."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

_TEN_O_CLOCK = datetime(2026, 11, 20, 10, 0, 0, 250000)


class FakeLog:
    """Writes lines with glog's prefix; time passes only by `wait`."""

    def __init__(self, *, start: datetime = _TEN_O_CLOCK, year: bool = False) -> None:
        self.lines: list[str] = []
        self.time = start
        self._stamp = "%Y%m%d" if year else "%m%d"

    def say(self, message: str, *, level: str = "I") -> FakeLog:
        stamp = self.time.strftime(f"{level}{self._stamp} %H:%M:%S.%f")
        self.lines.append(f"{stamp} 12345 solver.cpp:239] {message}")
        return self

    def wait(self, seconds: float) -> FakeLog:
        self.time += timedelta(seconds=seconds)
        return self

    def start(self, net: str = "LeNet") -> FakeLog:
        return self.say(f"Solving {net}").say("Learning Rate Policy: step")

    def display(
        self,
        iteration: int,
        *,
        loss: str,
        lr: str = "0.01",
        outputs: Iterable[tuple[str, str]] = (),
        bvlc: bool = True,
    ) -> FakeLog:
        speed = " (12.5 iter/s, 8s/100 iters)" if bvlc else ""
        self.say(f"Iteration {iteration}{speed}, loss = {loss}")
        for index, (name, value) in enumerate(outputs):
            self.say(f"    Train net output #{index}: {name} = {value} (* 1 = {value} loss)")
        return self.say(f"Iteration {iteration}, lr = {lr}")

    def test(self, iteration: int, outputs: Iterable[tuple[str, str]], *, net: int = 0) -> FakeLog:
        self.say(f"Iteration {iteration}, Testing net (#{net})")
        for index, (name, value) in enumerate(outputs):
            self.say(f"    Test net output #{index}: {name} = {value}")
        return self

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"
