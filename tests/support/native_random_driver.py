"""Runs whole nets layer by layer in the real Caffe and writes down everything that flows through them.

    python native_random_driver.py FOLDER

Runs in the Python of the tree, with its pycaffe and numpy alone, so nothing of this project may be imported
here. FOLDER holds `orders.json`, a list of {name, phase, seed}, and for each `<name>.prototxt` and
`<name>.in.npz` with the values of its inputs. Each net runs in a process of its own, so that one that
Caffe aborts at costs no other; what Caffe logs is in `<name>.log`. Each gets `<name>.json` with its layers and blobs, and
`<name>.out.npz` with, for layer i and its blob j,

    bottom/i/j  top/i/j              values before and after the layer ran forward
    param/i/j   param_after/i/j      learned blobs before anything ran, and after the layer ran forward
    top_diff/i/j  bottom_diff/i/j    gradients before and after the layer ran backward
    param_diff/i/j                   what the layer adds to the gradient of a learned blob
    diff/i/j                         the gradient of a learned blob after the whole backward
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

import caffe
import numpy as np


def run(order, folder):
    """Builds a net, gives it values, runs it forward and backward, and saves what flowed."""
    name = order["name"]
    caffe.set_random_seed(order["seed"])
    net = caffe.Net(str(folder / (name + ".prototxt")), getattr(caffe, order["phase"]))
    draw_what_no_filler_fills(net, np.random.RandomState(order["seed"]))
    given = np.load(str(folder / (name + ".in.npz")))
    for blob in given.files:
        net.blobs[blob].data[...] = given[blob]
    layers = [Layer(net, index) for index in range(len(net.layers))]
    out = {}
    for layer in layers:
        layer.keep(out, "param", [blob.data for blob in layer.learned])
    losses = [layer.forward(out) for layer in layers]
    for layer in reversed(layers):
        layer.backward(out)
    for layer in layers:
        layer.keep(out, "diff", [layer.total(out, blob, layers) for blob in layer.learned])
    np.savez(str(folder / (name + ".out.npz")), **out)
    facts = {
        "losses": losses,
        "layers": [
            {"name": layer.name, "type": layer.type, "bottoms": layer.bottoms, "tops": layer.tops}
            for layer in layers
        ],
        "blobs": {blob: list(net.blobs[blob].data.shape) for blob in net.blobs},
        "weights": {blob: net.blob_loss_weights[blob] for blob in net.blobs},
        "inputs": list(net.inputs),
        "outputs": list(net.outputs),
    }
    (folder / (name + ".json")).write_text(json.dumps(facts))


def draw_what_no_filler_fills(net, random):
    """Gives statistics and free parameters values as if there had been some training."""
    for layer in net.layers:
        if layer.type == "BatchNorm":
            mean, variance, factor = (blob.data for blob in layer.blobs)
            factor[...] = 0.9
            mean[...] = 0.9 * random.uniform(-0.3, 0.3, mean.shape)
            variance[...] = 0.9 * random.uniform(0.5, 1.5, variance.shape)
        elif layer.type == "Parameter":
            blob = layer.blobs[0].data
            blob[...] = random.standard_normal(blob.shape)


class Layer:
    """One layer of a net, Caffe's own Split layers among them."""

    def __init__(self, net, index):
        names = list(net._blob_names)
        self.net, self.index = net, index
        self.name, self.type = net._layer_names[index], net.layers[index].type
        self.bottoms = [names[place] for place in net._bottom_ids(index)]
        self.tops = [names[place] for place in net._top_ids(index)]
        self.learned = list(net.layers[index].blobs)

    def keep(self, out, kind, arrays):
        for place, array in enumerate(arrays):
            out[f"{kind}/{self.index}/{place}"] = np.array(array)

    def datas(self, blobs):
        return [self.net.blobs[blob].data for blob in blobs]

    def diffs(self, blobs):
        return [self.net.blobs[blob].diff for blob in blobs]

    def forward(self, out):
        self.keep(out, "bottom", self.datas(self.bottoms))
        loss = self.net._forward(self.index, self.index)
        self.keep(out, "top", self.datas(self.tops))
        self.keep(out, "param_after", [blob.data for blob in self.learned])
        return loss

    def backward(self, out):
        if self.type != "Parameter":  # whose blob is its top
            for blob in self.learned:
                blob.diff[...] = 0
        self.keep(out, "top_diff", self.diffs(self.tops))
        self.net._backward(self.index, self.index)
        self.keep(out, "bottom_diff", self.diffs(self.bottoms))
        self.keep(out, "param_diff", [blob.diff for blob in self.learned])

    def total(self, out, blob, layers):
        """Returns what all layers that share a learned blob add to its gradient."""
        return sum(
            out[f"param_diff/{layer.index}/{place}"].reshape(blob.data.shape)
            for layer in layers
            for place, other in enumerate(layer.learned)
            if same_memory(other.data, blob.data)
        )


def same_memory(one, other):
    """Whether two blobs are one: layers that share a learned blob share its memory."""
    return one.__array_interface__["data"] == other.__array_interface__["data"]


def run_apart(order, folder):
    """Runs a net in a process of its own, whose log goes to a file."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    log = os.open(str(folder / (order["name"] + ".log")), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 2)
    try:
        run(order, folder)
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(0)  # the parent alone goes on to the next net


def main():
    folder = Path(sys.argv[1])
    caffe.set_mode_cpu()
    for order in json.loads((folder / "orders.json").read_text()):
        run_apart(order, folder)


if __name__ == "__main__":
    main()
