"""`caffeflow test --like-caffe` prints what `caffe test` prints."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.proto.binary import LayerArrays, write_caffemodel
from tests.support.native import NativeCaffe
from tests.support.records import random_planes, write_raw_lmdb

pytestmark = pytest.mark.native

NET = """
name: "two heads"
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  transform_param {{ mean_value: 128 scale: 0.01 crop_size: 5 }}
  data_param {{ source: "{source}" batch_size: 4 backend: LMDB }} }}
layer {{ name: "score" type: "InnerProduct" bottom: "data" top: "score" inner_product_param {{ num_output: 7 }} }}
layer {{ name: "of each" type: "Accuracy" bottom: "score" bottom: "label" top: "total" top: "of each" }}
layer {{ name: "best three" type: "Accuracy" bottom: "score" bottom: "label" top: "best three"
  accuracy_param {{ top_k: 3 }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" loss_weight: 0.5 }}
"""
LINE = re.compile(
    r"^I\d{4} [\d:.]+ +\d+ (caffe\.cpp:\d+\] (?:Batch|Loss|Running|Use|[a-z ]+ = ).*)$", re.MULTILINE
)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def test_same_lines_and_numbers(
    caffe: NativeCaffe, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(8)
    source = write_raw_lmdb(
        tmp_path / "val_lmdb", random_planes(9, (3, 7, 8)), rng.integers(0, 7, 9).tolist()
    )
    net = tmp_path / "net.prototxt"
    net.write_text(NET.format(source=source))
    arrays = (rng.normal(0, 0.1, (7, 75)).astype(np.float32), np.linspace(0, 1, 7, dtype=np.float32))
    weights = tmp_path / "net.caffemodel"
    write_caffemodel(weights, name="two heads", layers=[LayerArrays("score", "InnerProduct", (), (), arrays)])

    said = caffe.run("caffe", "test", "-model", net, "-weights", weights, "-iterations", "5")
    words = [
        "test",
        str(net),
        "--weights",
        str(weights),
        "--like-caffe",
        "--iterations",
        "5",
        "--device",
        "cpu",
    ]
    assert run(words) == 0
    theirs, ours = LINE.findall(said), LINE.findall(capsys.readouterr().err)
    assert len(theirs) > 50
    assert [NUMBER.sub("#", line) for line in ours] == [NUMBER.sub("#", line) for line in theirs]
    for our_line, their_line in zip(ours, theirs, strict=True):
        values = [[float(word) for word in NUMBER.findall(line)] for line in (our_line, their_line)]
        assert values[0] == pytest.approx(values[1], rel=1e-5, abs=1e-7)
