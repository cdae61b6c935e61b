"""Python layers in nets and solvers, for any `import caffe`: python use_python_layers.py NET SOLVER OUT.npz."""

from __future__ import annotations

import sys

import caffe
import numpy as np

net_path, solver_path, out_path = sys.argv[1:4]
caffe.set_mode_cpu()
random = np.random.RandomState(3)
out = {}


def keep(name, values):
    out[name] = np.array(values)


def randomise(net):
    for name in ("hidden", "out"):
        for blob in net.params[name]:
            blob.data[...] = random.standard_normal(blob.data.shape) * 0.3


for phase in (caffe.TRAIN, caffe.TEST):
    net = caffe.Net(net_path, phase)
    randomise(net)
    for _ in range(2):
        keep(f"loss_{phase}", net.forward()["loss"])
    net.backward()
    for name, blobs in net.params.items():
        for index, blob in enumerate(blobs):
            keep(f"data_{phase}_{name}_{index}", blob.data)
            keep(f"diff_{phase}_{name}_{index}", blob.diff)
    for name in ("waves", "phase", "offset", "twice", "loss"):
        keep(f"top_{phase}_{name}", net.blobs[name].data)
        keep(f"top_diff_{phase}_{name}", net.blobs[name].diff)
    layer = net.layers[0]
    keep(f"batches_{phase}", layer.batch)
    keep(f"types_{phase}", [layer.type for layer in net.layers if layer.type != "Split"])

solver = caffe.get_solver(solver_path)
randomise(solver.net)
solver.step(4)
keep("offset", solver.net.params["offset"][0].data)
keep("own_offset", solver.net.layer_dict["offset"].blobs[0].data)
keep("out", solver.net.params["out"][0].data)
solver.net.save(out_path + ".caffemodel")
other = caffe.Net(net_path, out_path + ".caffemodel", caffe.TEST)
keep("loaded", other.layer_dict["offset"].blobs[0].data)
np.savez(out_path, **out)
