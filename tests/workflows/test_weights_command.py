from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.proto.binary import LayerArrays, read_caffemodel, write_caffemodel

BARE = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 11 dim: 13 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 5 kernel_size: 3 } }
layer { name: "conv/bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 7 } }
"""


def arrays_of(path: Path) -> dict[str, tuple[np.ndarray, ...]]:
    return {layer.name: layer.arrays for layer in read_caffemodel(path) if layer.arrays}


def test_init_and_show_go_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["weights", "init", "lenet", "--out", "w/lenet.caffemodel"]) == 0
    assert "431,080 values" in capsys.readouterr().out
    assert run(["weights", "show", "w/lenet.caffemodel", "--json"]) == 0
    blobs = json.loads(capsys.readouterr().out)
    assert [(b["layer"], b["blob"], b["looks_like"]) for b in blobs] == [
        (layer, blob, guess)
        for layer in ("conv1", "conv2", "ip1", "ip2")
        for blob, guess in (("weight", "xavier"), ("bias", "constant 0"))
    ]


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for seed, name in ((1, "a"), (1, "b"), (2, "c")):
        assert run(["weights", "init", "lenet", "--seed", str(seed), "--out", f"{name}.caffemodel"]) == 0
    a, b, c = (Path(f"{name}.caffemodel").read_bytes() for name in "abc")
    assert a == b != c


@pytest.mark.parametrize("ending", [".npz", ".safetensors", ".caffemodel.h5"])
def test_the_ending_says_the_format(ending: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["weights", "init", "lenet", "--out", "w.caffemodel"]) == 0
    assert run(["weights", "init", "lenet", "--out", f"w{ending}"]) == 0
    assert run(["weights", "diff", "w.caffemodel", f"w{ending}"]) == 0
    assert Path(f"w{ending}").read_bytes()[:8] != Path("w.caffemodel").read_bytes()[:8]
    assert run(["weights", "init", "lenet", "--out", "w.weights"]) == 2
    assert "w.weights: ends in '.weights'" in capsys.readouterr().err
    assert not Path("w.weights").exists()


def test_a_folder_that_cannot_be_made_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("")
    assert run(["weights", "init", "lenet", "--out", "file/w.caffemodel"]) == 5
    assert "file: cannot be made" in capsys.readouterr().err


def test_a_file_is_replaced_only_with_force(tmp_path: Path) -> None:
    Path("w.caffemodel").write_bytes(b"mine")
    assert run(["weights", "init", "lenet", "--out", "w.caffemodel"]) == 2
    assert Path("w.caffemodel").read_bytes() == b"mine"
    assert run(["weights", "init", "lenet", "--out", "w.caffemodel", "--force"]) == 0


def test_weights_without_filler_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bare.prototxt").write_text(BARE)
    assert run(["weights", "init", "bare.prototxt", "--out", "zeros.caffemodel"]) == 0
    assert "conv, ip: they are zeros" in capsys.readouterr().err
    assert not arrays_of(Path("zeros.caffemodel"))["conv"][0].any()
    assert run(["weights", "init", "bare.prototxt", "--calibrate", "--out", "good.caffemodel"]) == 0
    assert "conv, ip: msra was taken" in capsys.readouterr().err
    good = arrays_of(Path("good.caffemodel"))
    assert good["ip"][0].std() > 0
    assert float(good["conv/bn"][2][0]) == pytest.approx(1 + 0.999 + 0.999**2 + 0.999**3)


def make_dataset(folder: Path, *, backend: str = "lmdb") -> None:
    """Eight gray images in two classes, prepared as a dataset of listed images."""
    for label, name in enumerate(("dark", "light")):
        for number in range(8):
            pixels = np.full((28, 28), 40 + 150 * label + number, np.uint8)
            pixels[number : number + 9, 5:15] = 128
            path = folder / "images" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), pixels)
    words = ["prepare", "folder", "images", "--val-fraction", "0.25", "--gray", "--out", "data/two"]
    assert run([*words, "--backend", backend]) == 0


@pytest.mark.parametrize("backend", ["lmdb", "imagedata"])
def test_calibration_runs_on_a_dataset(
    backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_dataset(tmp_path, backend=backend)
    words = ["weights", "init", "lenet", "--calibrate", "--data", "data/two", "--batch-size", "4"]
    assert run([*words, "--out", "real.caffemodel"]) == 0
    assert "conv1: standard deviation of the output" in capsys.readouterr().err
    assert run(["weights", "init", "lenet", "--calibrate", "--out", "made_up.caffemodel"]) == 0
    real, made_up = (arrays_of(Path(f"{name}.caffemodel"))["conv1"][0] for name in ("real", "made_up"))
    assert not np.allclose(real, made_up)
    assert np.allclose(real / real.std(), made_up / made_up.std(), atol=1e-5)


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["lenet", "--data", "data/two"], 2, "--calibrate"),
        (["lenet", "--calibrate", "--data", "no/such"], 5, "no/such"),
        (["lenet:nano"], 3, "nano"),
    ],
)
def test_what_cannot_be_is_said(
    words: list[str], code: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["weights", "init", *words, "--out", "w.caffemodel"]) == code
    assert expected in capsys.readouterr().err
    assert not Path("w.caffemodel").exists()


def test_a_learned_blob_is_no_source_of_records(tmp_path: Path) -> None:
    make_dataset(tmp_path)
    assert run(["render", "lenet", "--data", "data/two"]) == 0
    net = Path("models/lenet/train_val.prototxt")
    learned = 'layer { name: "shift" type: "Parameter" top: "shift" parameter_param { shape { dim: 2 } } }\n'
    net.write_text(net.read_text() + learned)
    words = ["weights", "init", str(net), "--calibrate", "--data", "data/two", "--batch-size", "4"]
    assert run([*words, "--out", "w.caffemodel"]) == 0
    assert arrays_of(Path("w.caffemodel"))["shift"][0].shape == (2,)


def test_a_deploy_file_cannot_be_calibrated_on_a_dataset(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_dataset(tmp_path)
    Path("bare.prototxt").write_text(BARE)
    words = ["weights", "init", "bare.prototxt", "--calibrate", "--data", "data/two", "--out", "w.caffemodel"]
    assert run(words) == 4
    assert "no data layer" in capsys.readouterr().err


def test_show_warns_of_nan_and_json_stays_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = np.array([[1, math.nan], [2, math.inf]], np.float32)
    layers = [LayerArrays("ip", "InnerProduct", (), (), (bad, np.full(3, math.nan, np.float32)))]
    write_caffemodel("bad.caffemodel", name="bad", layers=layers)
    assert run(["weights", "show", "bad.caffemodel"]) == 0
    assert "ip (weight), ip (bias)" in capsys.readouterr().err
    assert run(["weights", "show", "bad.caffemodel", "--json"]) == 0
    weight, bias = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert (weight["nans"], weight["infinities"], weight["mean"]) == (1, 1, 1.5)
    assert bias["mean"] is None


def test_show_names_the_layers_it_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["weights", "init", "lenet", "--out", "w.caffemodel"]) == 0
    assert run(["weights", "show", "w.caffemodel", "--layer", "conv3"]) == 6
    assert "did you mean 'conv" in capsys.readouterr().err
    assert run(["weights", "show", "gone.caffemodel"]) == 6
