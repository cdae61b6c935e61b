"""Lets data layers of the real Caffe bring some batches, and writes them down.

    python native_feed_driver.py FOLDER

Runs in the Python of the tree, so nothing of this project may be imported here. FOLDER holds
`cases.json`, a list of {name, phase, batches}, and `<name>.prototxt` with one data layer, whose tops are
`data` and `label`; it gets `<name>.npz` with data and label of shape (batches, batch size, ...).
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
    for case in json.loads((folder / "cases.json").read_text()):
        caffe.set_random_seed(5)
        net = caffe.Net(str(folder / (case["name"] + ".prototxt")), getattr(caffe, case["phase"]))
        made = {"data": [], "label": []}
        for _ in range(case["batches"]):
            net.forward()
            for blob, batches in made.items():
                batches.append(net.blobs[blob].data.copy())
        arrays = {blob: np.array(batches) for blob, batches in made.items()}
        np.savez(str(folder / (case["name"] + ".npz")), **arrays)


if __name__ == "__main__":
    main()
