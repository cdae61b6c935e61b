"""A net that finds boxes as a bundle: deployed, and found in by `detect --net BUNDLE`."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.proto.binary import LayerArrays, write_caffemodel
from caffeflow.proto.text import read_net
from tests.workflows.test_detect_command import DEPLOY, LABEL_MAP, LOGITS

DATA = """
layer { name: "data" type: "AnnotatedData" top: "data" top: "label" include { phase: TEST }
  data_param { source: "none" batch_size: 2 backend: LMDB }
  transform_param { mean_value: 70 scale: 0.125
    resize_param { prob: 1 resize_mode: FIT_LARGE_SIZE_AND_PAD height: 20 width: 20 interp_mode: NEAREST } } }
"""
JUDGE = """
layer { name: "judge" type: "DetectionEvaluate" bottom: "found" bottom: "label" top: "judged"
  detection_evaluate_param { num_classes: 3 background_label_id: 0 } }
"""


@pytest.fixture
def model() -> Path:
    folder = Path("models/spy")
    folder.mkdir(parents=True)
    body = DEPLOY[DEPLOY.index('layer { name: "map"') :]
    (folder / "test.prototxt").write_text(DATA + body + JUDGE)
    (folder / "labelmap.prototxt").write_text(LABEL_MAP)
    rng = np.random.default_rng(3)
    layers = [
        LayerArrays(
            name, "Convolution", ("map",), (name,),
            (rng.normal(0, 0.01, (len(bias), 3, 1, 1)).astype(np.float32), bias),
        )
        for name, bias in (("loc", np.zeros(8, np.float32)), ("conf", LOGITS.reshape(-1)))
    ]  # fmt: skip
    write_caffemodel(folder / "spy.caffemodel", name="spy", layers=layers)
    cv2.imwrite("a.png", np.random.default_rng(1).integers(0, 256, (60, 90, 3), np.uint8))
    return folder


def found(capsys: pytest.CaptureFixture[str], net: object) -> dict:
    assert run(["detect", "a.png", "--net", str(net), "--threshold", "0.1", "--json"]) == 0
    (seen,) = json.loads(capsys.readouterr().out)
    return seen


@pytest.mark.parametrize("has_deploy_file", [False, True])
def test_a_bundle_finds_what_the_net_finds(
    model: Path, capsys: pytest.CaptureFixture[str], has_deploy_file: bool
) -> None:
    if has_deploy_file:
        (model / "deploy.prototxt").write_text(DEPLOY)
    assert (
        run(["deploy", "models/spy/test.prototxt", "--out", "bundle", "--record", "3x60x90", "--json"]) == 0
    )
    report = json.loads(capsys.readouterr().out)
    assert {"labelmap.prototxt", "preprocess.json"} < set(report["files"])
    assert "labels.txt" not in report["files"]
    (opencv,) = (check for check in report["checks"] if check["worst"] is None)
    assert opencv["reason"].startswith("OpenCV")
    assert "share_location" in opencv["reason"]
    compared = {check["blob"] for check in report["checks"] if check["what"].startswith("the tested")}
    assert compared == {"loc_flat", "prob_flat", "priors"}
    assert read_net("bundle/deploy.prototxt").net.layer[-1].type == "DetectionOutput"
    (model / "deploy.prototxt").write_text(DEPLOY)
    ours, theirs = found(capsys, "bundle"), found(capsys, model)
    assert len(ours["detections"]) == 4
    for one, other in zip(ours["detections"], theirs["detections"], strict=True):
        assert one["name"] == other["name"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-6)
        assert one["box"] == pytest.approx(other["box"], abs=1e-3)


def test_preprocess_keeps_what_ssd_resizes_by(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["deploy", "models/spy/test.prototxt", "--out", "bundle", "--record", "3x60x90"]) == 0
    said = json.loads(Path("bundle/preprocess.json").read_text())
    assert said["resize"] == {"mode": "none"}
    assert said["resize_param"] == {
        "resize_mode": "FIT_LARGE_SIZE_AND_PAD", "height": 20, "width": 20, "interp_mode": ["NEAREST"],
    }  # fmt: skip
    assert (said["mean"], said["scale"]) == ({"values": [70.0]}, 0.125)
    assert run(["classify", "bundle", "a.png"]) == 4
    assert "caffeflow detect PICTURE --net bundle" in capsys.readouterr().err


def test_a_bundle_with_boxes_is_tested_as_a_net(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["deploy", "models/spy/test.prototxt", "--out", "bundle", "--record", "3x60x90"]) == 0
    capsys.readouterr()
    assert run(["test", "bundle"]) == 2
    assert "say with --data what to test it on" in capsys.readouterr().err
