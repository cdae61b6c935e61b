"""HDF5Data hands out and HDF5Output writes what the real Caffe's do."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import h5py
import numpy as np
import pytest

from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.training import FusedExecutor
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.text import parse
from tests.support.engine_nets import images, layer, net_of
from tests.support.hdf5_rows import ROW, write_rows
from tests.support.native import NativeCaffe, Report

pytestmark = pytest.mark.native

DRIVER = Path(__file__).resolve().parents[1] / "support" / "native_feed_driver.py"
BATCHES = 9  # the fourteen rows come round twice, and batches of three end at no file's end


def test_batches_and_file_are_those_of_caffe(caffe: NativeCaffe, tmp_path: Path, report: Report) -> None:
    data = layer(
        "rows",
        "HDF5Data",
        "",
        "data label",
        f'hdf5_data_param {{ source: "{write_rows(tmp_path, (5, 2, 7))}" batch_size: 3 }}',
    )
    output = layer(
        "out", "HDF5Output", "data label", "", f'hdf5_output_param {{ file_name: "{tmp_path}/FILE.h5" }}'
    )
    (tmp_path / "feed.prototxt").write_text(data)
    (tmp_path / "out.prototxt").write_text(data + output.replace("FILE", "theirs"))
    orders = [
        {"name": "feed", "prototxt": "feed.prototxt", "phase": "TRAIN", "batches": BATCHES},
        {"name": "out", "prototxt": "out.prototxt", "phase": "TRAIN", "batches": 1},  # it dies of a second
    ]
    (tmp_path / "cases.json").write_text(json.dumps(orders))
    caffe.run("python", DRIVER, tmp_path)
    theirs = dict(np.load(tmp_path / "feed.out.npz"))

    (message,) = parse(data, NetParameter(), source="feed").layer
    with closing(open_feed(message, phase="TRAIN", seed=0)) as feed:
        ours = [feed.next() for _ in range(BATCHES)]
    for number, (values, labels) in enumerate(ours):
        np.testing.assert_array_equal(values.numpy(), theirs[f"data_{number}"])
        np.testing.assert_array_equal(labels.numpy(), theirs[f"label_{number}"])

    net = net_of(images(3, *ROW) + output.replace("FILE", "ours"))
    FusedExecutor(net).forward({"data": ours[0]})
    with h5py.File(tmp_path / "theirs.h5") as expected, h5py.File(tmp_path / "ours.h5") as found:
        assert sorted(found) == sorted(expected) == ["data", "label"]
        for name in found:
            assert found[name].dtype == expected[name].dtype
            np.testing.assert_array_equal(found[name][...], expected[name][...])
    report("HDF5 layers", f"{BATCHES} batches and the file of one: all values equal")
