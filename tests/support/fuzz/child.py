"""The process of one target: `python -m tests.support.fuzz.child TARGET SECONDS SEED FOLDER`."""

from __future__ import annotations

import os
import sys

from tests.support.fuzz.running import run
from tests.support.fuzz.targets import target_of

if __name__ == "__main__":
    name, seconds, first_seed, folder = sys.argv[1:]
    os.chdir(folder)
    tried, taken = run(target_of(name), seconds=float(seconds), first_seed=int(first_seed))
    print(f"{tried:7d} inputs, {taken:6d} taken")
