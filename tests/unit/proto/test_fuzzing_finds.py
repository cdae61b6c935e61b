"""The fuzzer itself: faults that are planted are found, and the input that shows them is kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

SCRIPT = """
import ctypes, time
from hypothesis import strategies as st
from caffeflow.errors import NetError
from tests.support.fuzz import running
from tests.support.fuzz.target import Target

def refuse(words="in our words"):
    raise NetError(words)

running.EXAMPLE_LIMIT_S = 1.0
target = Target(name="planted", inputs=st.just(b"shown"), check=lambda drawn: {act})
print(*running.run(target, seconds={seconds}, first_seed=0))
"""


def run(act: str, tmp_path: Path, *, seconds: float) -> subprocess.CompletedProcess[str]:
    script = SCRIPT.format(act=act, seconds=seconds)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("act", "words"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("bytes(1 << 31)", "MemoryError"),
        ("time.sleep(60)", "Timeout"),
        ("ctypes.string_at(0)", ""),
        ("refuse('')", "NetError says nothing"),
    ],
)
def test_a_fault_a_full_memory_a_hang_and_a_crash_are_found(act: str, words: str, tmp_path: Path) -> None:
    done = run(act, tmp_path, seconds=30)
    assert done.returncode != 0
    assert words in done.stderr
    assert (tmp_path / "last_input").read_bytes() == b"shown"


def test_our_own_errors_are_refusals(tmp_path: Path) -> None:
    done = run("refuse()", tmp_path, seconds=0.2)
    assert done.returncode == 0, done.stderr
    tried, taken = map(int, done.stdout.split())
    assert (tried > 0, taken) == (True, 0)
