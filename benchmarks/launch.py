"""Runs a program and writes what it took: `launch.py REPORT PROGRAM [ARGUMENT]...`; see measure.py.

It imports nothing else, so that it stays smaller than anything that is measured.
"""

import os
import sys
import time

report, *command = sys.argv[1:]
start = time.perf_counter()
pid = os.posix_spawnp(command[0], command, os.environ)
_, status, usage = os.wait4(pid, 0)
seconds = time.perf_counter() - start
with open(report, "w") as out:  # noqa: PTH123 - pathlib would double this process
    out.write(f'{{"seconds": {seconds}, "peak_bytes": {usage.ru_maxrss * 1024}}}')  # Linux counts KiB
sys.exit(os.waitstatus_to_exitcode(status))
