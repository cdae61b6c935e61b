"""What scripts do with a net, for any `import caffe`: python use_net.py TRAIN_NET DEPLOY_NET OUT.npz."""

from __future__ import annotations

import sys
from pathlib import Path

import caffe
import numpy as np

train_path, deploy_path, out_path = sys.argv[1:4]
caffe.set_mode_cpu()
random = np.random.RandomState(7)
out = {}


def keep(name, values):
    out[name] = np.array(values)


def randomise(net):
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = random.standard_normal(blob.data.shape) * 0.3


net = caffe.Net(train_path, caffe.TRAIN)
randomise(net)
net.blobs["label"].data[...] = random.randint(7, size=net.blobs["label"].data.shape)
for name, value in net.forward().items():
    keep("train_" + name, value)
net.backward()
net.backward()  # learned blobs' diffs add up
for name, blobs in net.params.items():
    for index, blob in enumerate(blobs):
        keep(f"diff_{name}_{index}", blob.diff)
for name in ("a", "relu", "b", "loss"):
    keep("blob_" + name, net.blobs[name].data)
    keep("blob_diff_" + name, net.blobs[name].diff)
net.clear_param_diffs()
keep("cleared", [abs(blob.diff).max() for blobs in net.params.values() for blob in blobs])

net.blobs["a"].data[...] = random.standard_normal(net.blobs["a"].data.shape)
for name, value in net.forward(start="relu", end="b").items():
    keep("part_" + name, value)
net.blobs["b"].diff[...] = random.standard_normal(net.blobs["b"].data.shape)
for name, value in net.backward(start="b", end="b").items():
    keep("part_diff_" + name, value)

weights = out_path + ".caffemodel"
net.save(weights)
deploy = caffe.Net(deploy_path, caffe.TEST, weights=weights)
Path(weights).unlink()
images = random.standard_normal((13, 2, 5, 7)).astype(np.float32)
for name, value in deploy.forward_all(blobs=["a"], data=images).items():
    keep("all_" + name, value)
top_diffs = random.standard_normal((13, 7)).astype(np.float32)
results, diffs = deploy.forward_backward_all(diffs=["a"], data=images, prob=top_diffs)
for name, value in diffs.items():
    keep("all_diff_" + name, value[:13])  # BVLC's leaves the padding where there are more diffs than outputs
deploy.blobs["data"].reshape(3, 2, 5, 7)
deploy.reshape()
keep("reshaped", [deploy.blobs[name].data.shape for name in ("data", "a")])
keep("reshaped_prob", deploy.forward(data=images[:3])["prob"])
other = caffe.Net(deploy_path, caffe.TEST)
other.share_with(deploy)
deploy.params["conv"][0].data[...] *= 2
keep("shared", other.forward(data=images[:4])["prob"])
other = caffe.Net(train_path, caffe.TRAIN, stages=["more"], level=2)
keep("names", list(other.params) + other.outputs + [name for name in other.top_names if "split" not in name])
keep("inputs", deploy.inputs)
keep("types", [layer.type for layer in deploy.layers])
np.savez(out_path, **out)
