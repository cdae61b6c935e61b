"""WindowData cuts and resizes windows as the real Caffe does; with one of each kind nothing is left to chance."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from caffeflow.engine.feed.opening import open_feed
from caffeflow.proto.binary import write_mean
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.text import parse
from tests.support.native import NativeCaffe, Report
from tests.support.window_files import write_windows

pytestmark = pytest.mark.native

DRIVER = Path(__file__).resolve().parents[1] / "support" / "native_feed_driver.py"
WINDOWS = {
    "inside": [(5, 0.75, 7, 11, 29, 23), (3, 0.25, 20, 5, 40, 38)],
    "at-the-edges": [(5, 0.5, 0, 0, 12, 30), (3, 0.49, 35, 3, 52, 40)],
    "one-pixel": [(5, 1, 17, 19, 17, 19), (3, 0, 0, 40, 52, 40)],
}
SETTINGS = {
    "warp": ("", ""),
    "warp-context": ("context_pad: 3", ""),
    "square": ('crop_mode: "square"', ""),
    "square-context": ('crop_mode: "square" context_pad: 2 cache_images: true', ""),
    "mean-values": ("context_pad: 3 scale: 0.017", "mean_value: 104.25 mean_value: 117 mean_value: 123.5"),
    "mean-file": ("context_pad: 2 scale: 0.0078125", 'mean_file: "{mean}"'),
}
BATCHES = 2


def layer_text(folder: Path, window: str, setting: str) -> str:
    more, transform = SETTINGS[setting]
    transform = transform.replace("{mean}", str(folder / "mean.binaryproto"))
    return (
        'layer { name: "data" type: "WindowData" top: "data" top: "label" window_data_param {'
        f' source: "{folder}/{window}/windows.txt" root_folder: "{folder}/{window}/" batch_size: 5 fg_fraction: 0.4'
        f" {more} }} transform_param {{ crop_size: 17 {transform} }} }}"
    )


def test_windows_are_those_of_caffe(caffe: NativeCaffe, tmp_path: Path, report: Report) -> None:
    mean = np.random.default_rng(3).uniform(90, 130, (3, 23, 24)).astype(np.float32)
    write_mean(tmp_path / "mean.binaryproto", mean)
    orders = []
    for window, own in WINDOWS.items():
        (tmp_path / window).mkdir()
        write_windows(tmp_path / window, [own])
        for setting in SETTINGS:
            name = f"{window}-{setting}"
            (tmp_path / f"{name}.prototxt").write_text(layer_text(tmp_path, window, setting))
            orders.append(
                {"name": name, "prototxt": f"{name}.prototxt", "phase": "TRAIN", "batches": BATCHES}
            )
    (tmp_path / "cases.json").write_text(json.dumps(orders))
    caffe.run("python", DRIVER, tmp_path)
    for window in WINDOWS:
        for setting in SETTINGS:
            theirs = np.load(tmp_path / f"{window}-{setting}.out.npz")
            (layer,) = parse(layer_text(tmp_path, window, setting), NetParameter(), source=setting).layer
            with closing(open_feed(layer, phase="TRAIN", seed=0, workers=2)) as feed:
                for number in range(BATCHES):
                    data, labels = feed.next()
                    where = f"{window}, {setting}"
                    np.testing.assert_array_equal(labels.numpy(), theirs[f"label_{number}"], err_msg=where)
                    np.testing.assert_array_equal(data.numpy(), theirs[f"data_{number}"], err_msg=where)
    assert len(orders) == 18
    report("WindowData", f"{len(orders)} layers, {BATCHES} batches each: all values equal")
