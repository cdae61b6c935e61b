"""Freed memory is kept, which shows in page faults."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

COUNT = """
import resource, sys
import torch
from caffeflow.engine.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):  # until malloc's small pieces around the blocks have settled
    torch.ones(1 << 24)  # 64 MiB
before = faults()
for _ in range(4):
    torch.ones(1 << 24)
print(faults() - before)
"""


def page_faults(mode: str) -> int:
    done = subprocess.run([sys.executable, "-c", COUNT, mode], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc can be told")
def test_blocks_are_not_given_back_to_the_kernel() -> None:
    assert page_faults("keep") < 100
    assert page_faults("plain") > 1000
