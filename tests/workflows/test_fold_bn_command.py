from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.proto.binary import LayerArrays, read_caffemodel, write_caffemodel
from caffeflow.proto.text import read_net
from caffeflow.workflows import fold_bn

NET = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 11 dim: 13 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 5 kernel_size: 3 pad: 1 bias_term: false weight_filler { type: "msra" } } }
layer { name: "conv/bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "conv/scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" }
layer { name: "relu2" type: "ReLU" bottom: "bn" top: "bn" }
layer { name: "ip" type: "InnerProduct" bottom: "bn" top: "ip"
  inner_product_param { num_output: 7 weight_filler { type: "msra" } } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""


@pytest.fixture
def _small(tmp_path: Path) -> None:
    Path("net.prototxt").write_text(NET)
    assert run(["weights", "init", "net.prototxt", "--calibrate", "--out", "w.caffemodel"]) == 0


def fold(*more: str) -> int:
    return run(["weights", "fold-bn", "net.prototxt", "w.caffemodel", *more])


@pytest.mark.usefixtures("_small")
def test_a_folded_net_is_written_and_its_table_says_what_stays(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert fold("--out", "made/folded") == 0
    out = capsys.readouterr().out
    assert "-> conv" in out
    assert "stays: stands behind no layer with weights" in out
    assert "2 folded, 1 stay" in out
    assert out.splitlines()[-2:] == ["made/folded.prototxt", "made/folded.caffemodel"]
    net = read_net("made/folded.prototxt").net
    assert [layer.name for layer in net.layer] == ["data", "conv", "relu", "bn", "relu2", "ip", "prob"]
    assert not net.HasField("state")
    arrays = {layer.name: len(layer.arrays) for layer in read_caffemodel("made/folded.caffemodel")}
    assert arrays == {"data": 0, "conv": 2, "relu": 0, "bn": 3, "relu2": 0, "ip": 2, "prob": 0}
    assert run(["weights", "diff", "made/folded.caffemodel", "made/folded.prototxt"]) == 0


@pytest.mark.usefixtures("_small")
def test_a_folder_keeps_the_names(capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert fold("--out", "made/", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["prototxt"], report["caffemodel"]) == ("made/net.prototxt", "made/w.caffemodel")
    assert report["layers"][0] == {
        "layer": "conv/bn", "type": "BatchNorm", "into": "conv", "side": "after", "stays": "",
    }  # fmt: skip
    assert report["worst"]["relative"] < 1e-5


@pytest.mark.usefixtures("_small")
def test_a_wrong_fold_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = fold_bn.fold_net

    def wrong(*args: object) -> object:
        folded = right(*args)  # type: ignore[arg-type]
        folded.layers[1].arrays[1][3] += 0.01
        return folded

    monkeypatch.setattr(fold_bn, "fold_net", wrong)
    assert fold("--out", "made/folded") == 1
    err = capsys.readouterr().err
    assert "the folded net computes something else" in err
    assert "nothing was written" in err
    assert not Path("made").exists()


@pytest.mark.usefixtures("_small")
def test_files_are_not_lost(capsys: pytest.CaptureFixture[str]) -> None:
    Path("f.caffemodel").write_bytes(b"mine")
    assert fold("--out", "f") == 2
    assert fold("--out", "./", "--force") == 2
    assert "is what would be folded" in capsys.readouterr().err
    assert fold("--out", "f", "--force") == 0
    assert Path("f.prototxt").exists()


@pytest.mark.usefixtures("_small")
def test_weights_of_another_net_are_a_line_that_names_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    write_caffemodel(
        "w.caffemodel", name="x", layers=[LayerArrays("ip", "", (), (), (np.ones((2, 3), "f4"),))]
    )
    capsys.readouterr()
    assert fold("--out", "f") == 6
    err = capsys.readouterr().err
    assert "5 of its 5 layers get no weights" in err
    assert "caffeflow weights diff w.caffemodel net.prototxt" in err
    assert not Path("f.prototxt").exists()


@pytest.mark.usefixtures("_small")
def test_nan_is_named_by_layer(capsys: pytest.CaptureFixture[str]) -> None:
    layers = read_caffemodel("w.caffemodel")
    next(each for each in layers if each.name == "ip").arrays[0][2, 3] = math.nan
    write_caffemodel("w.caffemodel", name="x", layers=layers)
    assert fold("--out", "f") == 6
    assert "nan or infinite in layer 'ip'" in capsys.readouterr().err


def test_a_net_without_anything_to_fold_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["weights", "init", "lenet", "--out", "w.caffemodel"]) == 0
    assert run(["weights", "fold-bn", "lenet", "w.caffemodel", "--out", "f"]) == 2
    assert "it has no BatchNorm" in capsys.readouterr().err


@pytest.mark.usefixtures("_small")
def test_real_input_is_run_too(capsys: pytest.CaptureFixture[str]) -> None:
    for label in ("dark", "light"):
        for number in range(4):
            pixels = np.full((11, 13, 3), 40 + 150 * (label == "light") + number, np.uint8)
            pixels[number : number + 5, 2:9] = 128
            path = Path("images", label, f"{number}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), pixels)
    words = ["prepare", "folder", "images", "--val-fraction", "0.5", "--resize", "none", "--out", "data/two"]
    assert run(words) == 0
    capsys.readouterr()
    assert fold("--out", "f", "--data", "data/two", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["ran_on"]) == 2
    assert "data/two" in report["ran_on"][1]
