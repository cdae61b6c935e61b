"""Writes down what the real Caffe's data layers hand out.

    python native_feed_driver.py FOLDER

Runs in the Python of the tree, with its pycaffe and numpy alone. FOLDER holds `cases.json`, a list of
{name, prototxt, phase, batches}, and `tops` where they are not data and label; each gets `<name>.out.npz` with
`<blob>_<batch>` for every top.
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
        net = caffe.Net(str(folder / case["prototxt"]), getattr(caffe, case["phase"]))
        out = {}
        for batch in range(case["batches"]):
            net.forward()
            for blob in case.get("tops", ("data", "label")):
                out[f"{blob}_{batch}"] = net.blobs[blob].data.copy()
        np.savez(str(folder / f"{case['name']}.out.npz"), **out)
        del net  # its prefetching thread, too


if __name__ == "__main__":
    main()
