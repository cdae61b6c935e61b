"""The real Caffe's side of the benchmarks: `caffe time` and `convert_imageset`, at their best.

OpenBLAS with threads is what is mapped (said in the result, read from /proc), and whatever BLAS
settings the shell has are unset, so that the peer is not held back by them.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from caffeflow import system
from tests.support.native import NativeCaffe, environment

_BOTH: Final = re.compile(r"Average Forward-Backward: ([\d.]+) ms")
_FORWARD: Final = re.compile(r"Average Forward pass: ([\d.]+) ms")
_BLAS: Final = re.compile(r"\S*/lib(?:openblas|blas|atlas|mkl)\S*")


@dataclass(frozen=True, kw_only=True)
class CaffeTime:
    """What `caffe time` measured.

    Attributes:
        forward_backward_ms: Mean over the iterations (Caffe prints single ones in whole milliseconds).
        forward_ms: The same, of forward alone.
        threads: Of BLAS.
        blas: File name of the BLAS that the process had mapped.
    """

    forward_backward_ms: float
    forward_ms: float
    threads: int
    blas: str


def time_net(caffe: NativeCaffe, net: Path, *, iterations: int, threads: int) -> CaffeTime:
    """Returns the time of a net's forward-backward pass in phase TRAIN."""
    lines: list[str] = []
    blas = ""
    running: list[Any] = []

    def see(line: str) -> None:
        nonlocal blas
        lines.append(line)
        if "Testing for" in line:
            blas = mapped_blas(running[0].pid)

    code = system.follow(
        [caffe.tool("caffe"), "time", f"-model={net}", f"-iterations={iterations}"], see,
        env=environment(threads=threads), on_start=running.append,
    )  # fmt: skip
    log = "\n".join(lines)
    both, forward = _BOTH.search(log), _FORWARD.search(log)
    assert code == 0, log
    assert both, log
    assert forward, log
    return CaffeTime(
        forward_backward_ms=float(both[1]),
        forward_ms=float(forward[1]),
        threads=threads,
        blas=blas,
    )


def best_time(
    caffe: NativeCaffe, net: Path, *, iterations: int, threads: Sequence[int] = (1, 2)
) -> CaffeTime:
    """Returns the time at whichever number of threads is fastest."""
    times = [time_net(caffe, net, iterations=iterations, threads=count) for count in threads]
    return min(times, key=lambda one: one.forward_backward_ms)


def convert_seconds(
    caffe: NativeCaffe, *, root: Path, listing: Path, out: Path, flags: Sequence[str]
) -> float:
    """Returns how long `convert_imageset` takes for a list; `out` must not exist."""
    start = time.perf_counter()
    caffe.run("convert_imageset", *flags, f"{root}/", listing, out, threads=os.cpu_count() or 1)
    return time.perf_counter() - start


def mapped_blas(pid: int) -> str:
    """Returns the file name of the BLAS library in a process's memory; that of OpenBLAS, if several are."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    names = sorted({Path(found).resolve().name for found in _BLAS.findall(maps)})
    return next((name for name in names if "openblas" in name), names[0] if names else "none")
