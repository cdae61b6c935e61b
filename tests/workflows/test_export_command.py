"""`caffeflow export` as users type it: files, results, refusals, and nothing left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import onnx
import pytest

from caffeflow.cli.commands.export import command
from caffeflow.cli.main import run
from caffeflow.export.onnx_export import DEFAULT_OPSET, OPSETS
from caffeflow.export.onnx_layer import WRITERS
from caffeflow.export.onnx_run import run_onnx
from caffeflow.proto.binary import read_caffemodel, write_caffemodel
from caffeflow.weights.formats import write_weights
from tests.support.engine_nets import convolution, inner_product, layer
from tests.support.onnx_nets import images, weights_of
from tests.support.small_detector import DETECTOR

TEXT = (
    images(2, 3, 7, 5)
    + convolution("conv", "data", "conv", 2, 3)
    + layer("relu", "ReLU", "conv", "conv")
    + inner_product("fc", "conv", "fc", 5)
    + layer("prob", "Softmax", "fc", "prob")
)


def write_net(folder: Path, text: str = TEXT, weights: str = "small.caffemodel") -> list[str]:
    """Writes a net's two files; returns the words that export it."""
    (folder / "deploy.prototxt").write_text(f'name: "small"\n{text}')
    write_weights(folder / weights, name="small", layers=weights_of(text))
    return ["export", str(folder / "deploy.prototxt"), "--weights", str(folder / weights)]


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_net_becomes_a_file_that_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = write_net(tmp_path)
    assert run([*words, "--onnx", "out/small.onnx", "--check"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[-1] == "out/small.onnx"
    size = Path("out/small.onnx").stat().st_size
    assert f"opset 13, 5 nodes, {size:,} bytes: Conv 1, Flatten 1, Gemm 1, Relu 1, Softmax 1" in lines
    assert "prob: onnxruntime differs by" in out
    assert "fc: onnxruntime differs by" in out
    assert listing(tmp_path / "out") == ["small.onnx"]
    onnx.checker.check_model("out/small.onnx", full_check=True)


def test_json_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = write_net(tmp_path)
    assert run([*words, "--onnx", "small.onnx", "--check", "--dynamic-batch", "--opset", "11", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    differences = found.pop("differences")
    assert found == {
        "net": "test_json_says_the_same0",
        "files": ["small.onnx"],
        "size": Path("small.onnx").stat().st_size,
        "opset": 11,
        "inputs": {"data": [-1, 3, 7, 5]},
        "outputs": {"prob": [-1, 5]},
        "operators": {"Conv": 1, "Flatten": 1, "Gemm": 1, "Relu": 1, "Softmax": 1},
        "cut": None,
        "unused": [],
    }
    assert sorted(differences) == ["fc", "prob"]
    assert max(differences.values()) < 1e-5


def test_a_detectors_priors_and_settings_lie_beside(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*write_net(tmp_path, DETECTOR), "--onnx", "out/ssd.onnx", "--check"]) == 0
    printed = capsys.readouterr()
    assert "layer 'found' is cut off" in printed.err
    assert printed.out.splitlines()[-3:] == ["out/ssd.onnx", "out/ssd.detection.json", "out/ssd.priors.npz"]
    assert listing(tmp_path / "out") == ["ssd.detection.json", "ssd.onnx", "ssd.priors.npz"]
    about = json.loads(Path("out/ssd.detection.json").read_text())
    assert (about["loc"], about["conf"], about["priors_file"]) == ("loc", "scores", "ssd.priors.npz")
    with np.load("out/ssd.priors.npz") as file:
        assert file["priors"].shape == file["variances"].shape == (about["priors"], 4)
    outputs = run_onnx(Path("out/ssd.onnx"), {"data": np.zeros((2, 3, 23, 19), np.float32)})
    assert outputs[about["loc"]].shape == (2, about["priors"] * 4)
    assert outputs[about["conf"]].shape == (2, about["priors"] * about["num_classes"])


def test_weights_of_other_formats_are_read(tmp_path: Path) -> None:
    words = write_net(tmp_path, weights="small.safetensors")
    assert run([*words, "--onnx", "small.onnx"]) == 0
    (weight,) = [each for each in onnx.load("small.onnx").graph.initializer if each.name == "fc/weight"]
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(weight), weights_of(TEXT)[1].arrays[0])


def test_a_bundle_brings_its_weights_and_its_preprocessing(tmp_path: Path) -> None:
    write_net(tmp_path, weights="model.caffemodel")
    (tmp_path / "preprocess.json").write_text('{"scale": 1.0}')
    assert run(["export", str(tmp_path), "--onnx", "small.onnx"]) == 0
    (entry,) = onnx.load("small.onnx").metadata_props
    assert (entry.key, entry.value) == ("preprocess", '{"scale": 1.0}')


def test_a_net_of_the_catalogue_needs_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["weights", "init", "lenet", "--out", "lenet.caffemodel"]) == 0
    words = ["--set", "net.classes=7", "--weights", "lenet.caffemodel", "--onnx", "lenet.onnx"]
    assert run(["export", "lenet", *words]) == 6
    assert "lenet.caffemodel: layer 'ip2': blob 0 is 10 500" in capsys.readouterr().err
    assert run(["export", "lenet", *words[2:]]) == 0


def test_what_is_there_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [*write_net(tmp_path), "--onnx", "small.onnx"]
    assert run(words) == 0
    assert run(words) == 2
    assert "small.onnx: is there already; replace it with --force" in capsys.readouterr().err
    assert run([*words, "--force"]) == 0


def test_what_lies_where_priors_go_is_not_overwritten_either(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("out").mkdir()
    Path("out/ssd.priors.npz").write_text("mine")
    words = [*write_net(tmp_path, DETECTOR), "--onnx", "out/ssd.onnx"]
    assert run(words) == 2
    assert "out/ssd.priors.npz: is there already; replace it with --force" in capsys.readouterr().err
    assert listing(tmp_path / "out") == ["ssd.priors.npz"]
    assert run([*words, "--force"]) == 0


def test_without_weights_the_command_asks_for_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_net(tmp_path)
    assert run(["export", str(tmp_path), "--onnx", "small.onnx"]) == 2
    assert "add --weights FILE" in capsys.readouterr().err


def test_an_error_names_the_file_and_the_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_net(tmp_path)
    drop = layer("drop", "Dropout", "prob", "drop", "phase: TRAIN")
    (tmp_path / "deploy.prototxt").write_text(f'name: "small"\n{TEXT}{drop}')
    words = ["--weights", "small.caffemodel", "--onnx", "small.onnx"]
    assert run(["export", "deploy.prototxt", *words]) == 4
    assert "deploy.prototxt:7: layer 'drop': cannot be written as ONNX" in capsys.readouterr().err


def test_weights_that_are_no_numbers_are_refused_with_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = write_net(tmp_path)
    layers = read_caffemodel(tmp_path / "small.caffemodel")
    layers[0].arrays[0][0, 0] = np.nan
    write_caffemodel(tmp_path / "small.caffemodel", name="small", layers=layers)
    assert run([*words, "--onnx", "small.onnx"]) == 6
    assert "small.caffemodel: layer 'conv': 9 of 54 values of its weight are nan" in capsys.readouterr().err


def test_a_file_that_computes_something_else_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = write_net(tmp_path)
    before = listing(tmp_path)
    monkeypatch.setitem(WRITERS, "ReLU", lambda layer: layer.add("LeakyRelu", layer.bottoms[0], alpha=0.5))
    assert run([*words, "--onnx", "small.onnx", "--check"]) == 1
    assert "onnxruntime computes something else: blob 'fc' differs by" in capsys.readouterr().err
    assert listing(tmp_path) == before


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = write_net(tmp_path)
    Path("file").write_text("in the way")
    assert run([*words, "--onnx", "file/small.onnx"]) == 5
    assert "file/small.onnx: cannot write: " in capsys.readouterr().err


def test_a_check_without_onnxruntime_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = write_net(tmp_path)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "caffeflow.export.onnx_run", raising=False)
    assert run([*words, "--onnx", "small.onnx", "--check"]) == 2
    assert "pip install onnxruntime" in capsys.readouterr().err
    assert not Path("small.onnx").exists()


def test_export_needs_no_torch(tmp_path: Path) -> None:
    words = [*write_net(tmp_path), "--onnx", "small.onnx"]
    code = (
        "import sys; sys.modules['torch'] = None; from caffeflow.cli.main import run;"
        f"sys.exit(run({words!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "small.onnx"), done.stderr


def test_the_options_are_the_exporters() -> None:
    (opset,) = (param for param in command.params if param.name == "opset")
    assert isinstance(opset.type, click.IntRange)
    assert (opset.default, opset.type.min, opset.type.max) == (DEFAULT_OPSET, OPSETS.start, OPSETS.stop - 1)
