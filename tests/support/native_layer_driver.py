"""Runs single layers in the real Caffe and writes down all that goes in and out of them.

    python native_layer_driver.py FOLDER

Runs in the Python of the tree, with its pycaffe and numpy alone, so nothing of this project may be
imported here. FOLDER holds `cases.json`, a list of {name, prototxt, layer, bottoms, tops, seed}, and
`<name>.in.npz` with bottom_0, bottom_1, …, and blob_0, … where learned blobs are to have values that the
net's text cannot give them; it gets `<name>.out.npz` with

    param_<i>, param_after_<i>, param_diff_<i>    learned blobs: before, after forward; gradients
    top_<i>, top_diff_<i>, bottom_diff_<i>
    diff_<blob>                                   for each blob in the case's list `diffs`, if it has one
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import caffe
import numpy as np


def run_case(case, folder):
    """Runs one layer forward and backward and saves its blobs."""
    caffe.set_random_seed(case["seed"])
    net = caffe.Net(str(folder / case["prototxt"]), getattr(caffe, case["phase"]))
    inputs = np.load(str(folder / f"{case['name']}.in.npz"))
    for index, blob in enumerate(case["bottoms"]):
        net.blobs[blob].data[...] = inputs[f"bottom_{index}"]
    params = list(net.params.get(case["layer"], []))
    for index, blob in enumerate(params):
        if f"blob_{index}" in inputs:
            blob.data[...] = inputs[f"blob_{index}"]
    out = {f"param_{index}": blob.data.copy() for index, blob in enumerate(params)}
    net.forward()
    for index, blob in enumerate(case["tops"]):
        out[f"top_{index}"] = net.blobs[blob].data.copy()
    for index, blob in enumerate(params):
        out[f"param_after_{index}"] = blob.data.copy()
    if case["backward"]:
        run_backward(case, net, params, out)
    np.savez(str(folder / f"{case['name']}.out.npz"), **out)


def run_backward(case, net, params, out):
    """Runs a net backward from random top diffs and keeps all diffs in `out`."""
    random = np.random.RandomState(case["seed"])
    for index, blob in enumerate(case["tops"]):
        diff = net.blobs[blob].diff
        if not case["loss"]:  # a loss layer's top diff is its weight, and stays
            diff[...] = random.standard_normal(diff.shape)
        out[f"top_diff_{index}"] = diff.copy()
    net.backward()
    for index, blob in enumerate(case["bottoms"]):
        out[f"bottom_diff_{index}"] = net.blobs[blob].diff.copy()
    for index, blob in enumerate(params):
        out[f"param_diff_{index}"] = blob.diff.copy()
    for blob in case.get("diffs", ()):
        out[f"diff_{blob}"] = net.blobs[blob].diff.copy()


def main():
    folder = Path(sys.argv[1])
    sys.path.insert(0, str(Path(__file__).with_name("pycaffe_scripts")))  # where the Python layers are
    caffe.set_mode_cpu()
    for case in json.loads((folder / "cases.json").read_text()):
        run_case(case, folder)


if __name__ == "__main__":
    main()
