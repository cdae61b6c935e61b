"""Reads, builds and runs whole nets in the real Caffe and writes down what it makes of them.

    python native_net_driver.py FOLDER

Runs in the Python of the tree, with its pycaffe, protobuf and numpy alone. FOLDER holds `orders.json`, a
list of {name, prototxt, phase, weights?, inputs?, blobs, backward}; each gets `<name>.json` with the
shapes of all blobs and learned blobs and the loss, and `<name>.out.npz` with the blobs asked for.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import caffe
import numpy as np
from caffe.proto import caffe_pb2
from google.protobuf import text_format


def read_strictly(path, message):
    """Reads a file as the binary would, which dies of unknown fields."""
    text_format.Parse(Path(path).read_text(), message)


def run(order, folder):
    """Builds a net, runs it, and saves what is asked for."""
    net = caffe.Net(order["prototxt"], getattr(caffe, order["phase"]))
    if order.get("weights"):
        net.copy_from(order["weights"])
    if order.get("inputs"):
        for blob, values in np.load(order["inputs"]).items():
            net.blobs[blob].data[...] = values
    facts = {
        "blobs": {name: list(blob.data.shape) for name, blob in net.blobs.items()},
        "params": {name: [list(blob.data.shape) for blob in blobs] for name, blobs in net.params.items()},
    }
    if order["forward"]:
        net.forward()
        np.savez(
            folder / f"{order['name']}.out.npz", **{name: net.blobs[name].data for name in order["blobs"]}
        )
        facts["loss"] = float(net.blobs["loss"].data) if "loss" in net.blobs else None
    if order["backward"]:
        net.backward()
        facts["moved"] = [name for name, blobs in net.params.items() if abs(blobs[0].diff).max() > 0]
    (folder / f"{order['name']}.json").write_text(json.dumps(facts))


def main():
    folder = Path(sys.argv[1])
    caffe.set_mode_cpu()
    for order in json.loads((folder / "orders.json").read_text()):
        read_strictly(order["prototxt"], caffe_pb2.NetParameter())
        if order.get("solver"):
            read_strictly(order["solver"], caffe_pb2.SolverParameter())
        run(order, folder)


if __name__ == "__main__":
    main()
