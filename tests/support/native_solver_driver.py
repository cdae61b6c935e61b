"""Trains with the real Caffe's solvers, one after another in one process.

    python native_solver_driver.py JOBS.json

Runs in the Python of the tree, with its pycaffe alone, so nothing of this project may be imported here.
JOBS.json is a list of {name, solver, weights, state, steps}: the solver begins with a caffemodel or a
solverstate (or null), and writes a snapshot after so many iterations each. Caffe's log of a job stands
behind the line `solver job NAME`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import caffe


def run_job(job):
    """Trains as a job says."""
    sys.stderr.write(f"solver job {job['name']}\n")
    sys.stderr.flush()
    solver = caffe.get_solver(job["solver"])
    if job["weights"]:
        solver.net.copy_from(job["weights"])
    if job["state"]:
        solver.restore(job["state"])
    for count in job["steps"]:
        solver.step(count)
        solver.snapshot()


if __name__ == "__main__":
    caffe.set_mode_cpu()
    for each in json.loads(Path(sys.argv[1]).read_text()):
        run_job(each)
