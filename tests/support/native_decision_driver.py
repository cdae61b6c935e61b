"""Writes down what the real Caffe's deciding layers decide on, for one batch.

    python native_decision_driver.py FOLDER

Runs in the Python of the tree, with its pycaffe and numpy alone. FOLDER holds `net.prototxt` (Input
layers in place of data), `weights.caffemodel`, `feeds.npz` (by blob) and `deciding.json` (names of
layers); it gets `bottoms.npz`: the bottom of each of those layers, as it is before the layer runs.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import caffe
import numpy as np


def main():
    folder = Path(sys.argv[1])
    caffe.set_mode_cpu()
    net = caffe.Net(str(folder / "net.prototxt"), caffe.TRAIN, weights=str(folder / "weights.caffemodel"))
    feeds = np.load(str(folder / "feeds.npz"))
    for blob in feeds.files:
        net.blobs[blob].data[...] = feeds[blob]
    deciding = set(json.loads((folder / "deciding.json").read_text()))
    bottoms = {}
    for index, name in enumerate(net._layer_names):
        if name in deciding:
            bottoms[name] = net.blobs[net.bottom_names[name][0]].data.copy()
        net._forward(index, index)
    np.savez(str(folder / "bottoms.npz"), **bottoms)


if __name__ == "__main__":
    main()
