"""What scripts do with solvers, for any `import caffe`: python use_solver.py SOLVER OUT.npz, in their folder."""

from __future__ import annotations

import sys

import caffe
import numpy as np

solver_path, out_path = sys.argv[1:3]
caffe.set_mode_cpu()
out = {}


def keep(name, values):
    out[name] = np.array(values)


def keep_weights(name, solver):
    for layer, blobs in solver.net.params.items():
        for index, blob in enumerate(blobs):
            keep(f"{name}_{layer}_{index}", blob.data)


def prepare(solver):
    random = np.random.RandomState(11)
    for net in [solver.net, *solver.test_nets]:
        for blob in ("data", "target"):
            net.blobs[blob].data[...] = random.standard_normal(net.blobs[blob].data.shape)
    for blobs in solver.net.params.values():
        for blob in blobs:
            blob.data[...] = random.standard_normal(blob.data.shape) * 0.3


solver = caffe.get_solver(solver_path)
prepare(solver)
heard = []
solver.add_callback(
    lambda: heard.append(f"start {solver.iter}"), lambda: heard.append(f"ready {solver.iter}")
)
solver.step(3)
keep("heard", heard)
keep("iteration", solver.iter)
keep("max_iter", solver.param.max_iter)
keep_weights("three", solver)
for layer, blobs in solver.net.params.items():
    keep(f"diff_{layer}", blobs[0].diff)
keep("loss", solver.net.blobs["loss"].data)
keep("test", solver.test_nets[0].forward()["loss"])

solver.snapshot()
solver.step(2)
keep_weights("five", solver)
again = caffe.get_solver(solver_path)
prepare(again)
again.restore("made_iter_3.solverstate")
keep("restored", again.iter)
keep_weights("restored", again)
again.step(2)
keep_weights("again", again)
again.solve()
keep("solved", again.iter)
keep_weights("solved", again)

plain = caffe.SGDSolver(solver_path)
prepare(plain)
before = plain.net.layers[1].blobs[0]
before.data[...] = 0
before.diff[...] = 1
plain.apply_update()
keep("applied", plain.net.params["hidden"][0].data)
keep("applied_iteration", plain.iter)
np.savez(out_path, **out)
