"""A net for pictures of any size, trained from Python, for any `import caffe`: python segment.py OUT.npz.

Everything as scripts for fully convolutional nets do it: a net written by NetSpec, upsampling weights set by
hand, weights carried over from another net, a confusion matrix of the test net that shares the weights.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import caffe
import numpy as np
from caffe import layers as L
from caffe import params as P
from caffe.coord_map import crop
from caffe.proto import caffe_pb2

CLASSES = 5
out = {}


def keep(name, values):
    out[name] = np.array(values)


def segmenter(first):
    n = caffe.NetSpec()
    settings = json.dumps({"classes": CLASSES, "mean": (0.4, 0.5, 0.6), "first": first})
    n.data, n.label = L.Python(module="pictures_of_users", layer="Pictures", ntop=2, param_str=settings)
    learning = [{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}]
    n.conv = L.Convolution(n.data, kernel_size=3, num_output=7, pad=9, param=learning)
    n.act = L.TanH(n.conv, in_place=True)
    n.pool = L.Pooling(n.act, pool=P.Pooling.AVE, kernel_size=2, stride=2)
    n.score_fr = L.Convolution(n.pool, num_output=CLASSES, kernel_size=1, param=learning)
    up = {"num_output": CLASSES, "kernel_size": 4, "stride": 2, "bias_term": False}
    n.upscore = L.Deconvolution(n.score_fr, convolution_param=up, param=[{"lr_mult": 0}])
    n.score = crop(n.upscore, n.data)
    n.loss = L.SoftmaxWithLoss(n.score, n.label, loss_param={"normalize": False, "ignore_label": 255})
    return n.to_proto()


def interpolate(net, names):
    for name in names:
        outputs, inputs, size, _ = net.params[name][0].data.shape
        middle = (size + 1) // 2 - (1 if size % 2 == 1 else 0.5)
        falling = 1 - abs(np.arange(size) - middle) / ((size + 1) // 2)
        net.params[name][0].data[range(outputs), range(inputs), :, :] = np.outer(falling, falling)


def carry_over(new, old):
    for name in old.params:
        for place in range(len(old.params[name])):
            new.params[name][place].data.flat = old.params[name][place].data.flat


def confusion(net, pictures):
    matrix, loss = np.zeros((CLASSES, CLASSES)), 0.0
    for _ in range(pictures):
        net.forward()
        truth = net.blobs["label"].data[0, 0].flatten().astype(int)
        found = net.blobs["score"].data[0].argmax(0).flatten()
        known = truth < CLASSES
        matrix += np.bincount(CLASSES * truth[known] + found[known], minlength=CLASSES**2).reshape(
            matrix.shape
        )
        loss += net.blobs["loss"].data.flat[0]
    return matrix, loss / pictures


for stage, first in (("train", 0), ("val", 40)):
    Path(stage + ".prototxt").write_text(str(segmenter(first)))
settings = caffe_pb2.SolverParameter(
    train_net="train.prototxt", test_net=["val.prototxt"], test_iter=[2], test_interval=1000,
    base_lr=1e-4, lr_policy="fixed", momentum=0.9, weight_decay=0.0005, average_loss=3, iter_size=2,
    max_iter=100, snapshot_prefix="segment", test_initialization=False,
)  # fmt: skip
settings.solver_mode = caffe_pb2.SolverParameter.CPU
Path("solver.prototxt").write_text(str(settings))

solver = caffe.SGDSolver("solver.prototxt")
other = caffe.Net("val.prototxt", caffe.TEST)
random = np.random.RandomState(7)
for blobs in other.params.values():
    for blob in blobs:
        blob.data[...] = random.standard_normal(blob.data.shape) * 0.2
interpolate(other, [name for name in other.params if "up" in name])
carry_over(solver.net, other)
for number in range(3):
    solver.step(2)
    keep(f"shape_{number}", solver.net.blobs["score"].data.shape)
    keep(f"loss_{number}", solver.net.blobs["loss"].data)
    solver.test_nets[0].share_with(solver.net)
    matrix, loss = confusion(solver.test_nets[0], 3)
    keep(f"matrix_{number}", matrix)
    keep(f"test_loss_{number}", loss)
keep("upsampling", solver.net.params["upscore"][0].data)
keep("conv", solver.net.params["conv"][0].data)
keep("score", solver.test_nets[0].blobs["score"].data)
keep("iter", solver.iter)
np.savez(sys.argv[1], **out)
