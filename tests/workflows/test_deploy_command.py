"""`caffeflow deploy`: what is in a bundle, that it is right, and that nothing is left when it is not."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.proto.binary import read_caffemodel
from caffeflow.proto.text import read_net
from caffeflow.workflows import deploy as deploying
from tests.support import linear_project as linear
from tests.support.training_project import Project

FILES = {
    "README.md", "check.npz", "deploy.prototxt", "labels.txt", "mean.npy", "model.caffemodel", "preprocess.json",
}  # fmt: skip


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return linear.write_linear_model(tmp_path)


def deployed(capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    """Runs the command, which must succeed, and returns its JSON."""
    code = run(["deploy", *map(str, words), "--json"])
    said = capsys.readouterr()
    assert code == 0, said.err
    return json.loads(said.out)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    code = run(["deploy", *map(str, words)])
    assert [path.name for path in Path().glob(".*")] == [], "something was left behind"
    return code, capsys.readouterr().err


def asked_opencv(bundle: Path, image: np.ndarray) -> np.ndarray:
    net = cv2.dnn.readNetFromCaffe(str(bundle / "deploy.prototxt"), str(bundle / "model.caffemodel"))
    net.setInput(image, "data")
    return net.forward("prob")


def test_a_bundle_is_whole_and_gives_what_the_formula_says(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = deployed(capsys, "linear", "--out", "bundle")
    assert set(report["files"]) == FILES == {path.name for path in Path("bundle").iterdir()}
    assert Path("bundle/labels.txt").read_text().splitlines() == list(linear.NAMES)
    check = np.load("bundle/check.npz")
    assert sorted(check) == ["data", "prob", "score"]
    expected = linear.probabilities(linear.PLANES[0])
    np.testing.assert_allclose(check["prob"][0], expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(asked_opencv(Path("bundle"), check["data"])[0], expected, rtol=0, atol=1e-5)


def test_preprocess_says_how_the_first_record_became_the_input(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed(capsys, "linear", "--out", "bundle")
    said = json.loads(Path("bundle/preprocess.json").read_text())
    assert said["size"] == {"height": 5, "width": 5}
    assert said["resize"] == {"mode": "squash", "height": 11, "width": 13}
    assert (said["crop"], said["scale"], said["colour_order"]) == ({"height": 5, "width": 5}, 0.25, "BGR")
    mean = np.load(Path("bundle") / said["mean"]["file"])
    record = linear.PLANES[0].astype(np.float32)
    by_hand = (record - mean)[:, 3:8, 4:9] * np.float32(said["scale"])
    np.testing.assert_allclose(np.load("bundle/check.npz")["data"][0], by_hand, rtol=0, atol=1e-5)


def test_nothing_of_training_is_left_and_names_are_plain(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = deployed(capsys, "linear", "--out", "bundle")
    layers = read_net("bundle/deploy.prototxt").net.layer
    assert [(layer.name, layer.type, *layer.top) for layer in layers] == [
        ("data", "Input", "data"),
        ("score", "InnerProduct", "score"),
        ("prob", "Softmax", "prob"),
    ]
    text = Path("bundle/deploy.prototxt").read_text()
    assert all(word not in text for word in ("filler", "lr_mult", "include", "phase"))
    assert {name.split()[0] for name in report["left_out"]} == {"drop", "accuracy", "loss"}


def test_readme_tells_sources_and_figures(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deployed(capsys, "linear", "--out", "bundle")
    text = Path("bundle/README.md").read_text()
    for word in (
        "models/linear/train_val.prototxt",
        "linear_iter_9.caffemodel",
        "mean.binaryproto",
        "OpenCV's importer",
    ):
        assert word in text
    assert "records of its dataset" in text


@pytest.mark.parametrize(
    "subject", ["models/linear/solver.prototxt", "models/linear", "models/linear/train_val.prototxt"]
)
def test_a_net_has_several_names(model: Path, capsys: pytest.CaptureFixture[str], subject: str) -> None:
    deployed(capsys, subject, "--out", "bundle", "--no-opencv")
    assert len(read_caffemodel("bundle/model.caffemodel")) == 3


def test_a_deploy_file_beside_the_net_is_used_if_it_is_the_same_net(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """
    name: "linear"
    layer { name: "input" type: "Input" top: "data" input_param { shape { dim: 9 dim: 3 dim: 5 dim: 5 } } }
    layer { name: "score" type: "InnerProduct" bottom: "data" top: "answer" inner_product_param { num_output: 7 } }
    layer { name: "likely" type: "Softmax" bottom: "answer" top: "likely" }
    """
    (model / "deploy.prototxt").write_text(text)
    deployed(capsys, "linear", "--out", "bundle")
    assert np.load("bundle/check.npz")["likely"].shape == (1, 7)
    (model / "deploy.prototxt").write_text(text.replace("num_output: 7", "num_output: 7 bias_term: false"))
    assert refused(capsys, "linear", "--out", "other")[0] == 6
    power = 'layer { name: "twice" type: "Power" bottom: "data" top: "data" power_param { scale: 2 } }'
    (model / "deploy.prototxt").write_text(
        text.replace('layer { name: "score"', power + 'layer { name: "score"')
    )
    code, error = refused(capsys, "linear", "--out", "other")
    assert (code, "blob 'score' differs" in error, Path("other").exists()) == (1, True, False)


def test_a_run_with_batch_norm_is_folded(capsys: pytest.CaptureFixture[str]) -> None:
    project = Project()
    project.train(iterations=5)
    report = deployed(capsys, "runs/tiny-001", "--out", "bundle")
    assert [row["outcome"] for row in report["folded"]] == ["into conv", "into conv"]
    assert all(check["worst"] < 1e-4 for check in report["checks"])
    assert len({check["what"] for check in report["checks"]}) == 3
    types = [layer.type for layer in read_net("bundle/deploy.prototxt").net.layer]
    assert types == ["Input", "Convolution", "ReLU", "InnerProduct", "Softmax"]
    assert Path("bundle/labels.txt").read_text().split() == ["0", "1", "2", "3", "4"]
    kept = deployed(capsys, "runs/tiny-001", "--out", "kept", "--keep-bn")
    assert kept["folded"] == []
    assert "BatchNorm" in Path("kept/deploy.prototxt").read_text()
    one, other = (np.load(f"{name}/check.npz")["prob"] for name in ("bundle", "kept"))
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def test_a_bundle_is_replaced_only_with_force_and_other_folders_never(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed(capsys, "linear", "--out", "bundle", "--no-opencv")
    code, error = refused(capsys, "linear", "--out", "bundle")
    assert (code, "--force" in error) == (2, True)
    Path("bundle/README.md").write_text("old")
    deployed(capsys, "linear", "--out", "bundle", "--force", "--no-opencv")
    assert Path("bundle/README.md").read_text() != "old"
    code, error = refused(capsys, "linear", "--out", "models", "--force")
    assert (code, "is no bundle" in error, (model / "train_val.prototxt").exists()) == (2, True, True)


def test_what_fails_leaves_the_old_bundle_as_it_was(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed(capsys, "linear", "--out", "bundle", "--no-opencv")
    before = {path.name: path.read_bytes() for path in Path("bundle").iterdir()}
    real = deploying.fold_net

    def wrong(net, layers):  # a slip in folding
        folded = real(net, layers)
        arrays = tuple(array * 1.001 for array in folded.layers[1].arrays)
        object.__setattr__(folded.layers[1], "arrays", arrays)
        return folded

    monkeypatch.setattr(deploying, "fold_net", wrong)
    code, error = refused(capsys, "linear", "--out", "bundle", "--force")
    assert (code, "nothing was written" in error) == (1, True)
    assert {path.name: path.read_bytes() for path in Path("bundle").iterdir()} == before


def test_a_solver_whose_net_has_moved(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    solver = model / "solver.prototxt"
    solver.write_text(solver.read_text().replace(str(model), "/gone"))
    code, error = refused(capsys, solver, "--out", "bundle")
    assert code == 4
    assert "'/gone/train_val.prototxt', which is not there" in error
    assert f"caffeflow deploy {model}/train_val.prototxt" in error


def test_class_names(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("names.txt").write_text("".join(f"n0{label} thing {label}\n" for label in range(7)))
    deployed(capsys, "linear", "--out", "bundle", "--labels", "names.txt", "--no-opencv")
    assert Path("bundle/labels.txt").read_text().splitlines()[6] == "n06 thing 6"
    Path("names.txt").write_text("one\ntwo\n")
    code, error = refused(capsys, "linear", "--out", "other", "--labels", "names.txt")
    assert (code, "has 2 lines, but the net tells 7 classes apart" in error) == (5, True)
    linear.write_linear_dataset(Path("eight"), names=[*linear.NAMES, "one more"])
    code, error = refused(capsys, "linear", "--out", "other", "--data", "eight")
    assert (code, "has 8 classes, but the net tells 7 apart" in error) == (5, True)


def test_weights_that_do_not_do(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = linear.WEIGHT.copy()
    broken[3, 5] = np.nan
    linear.write_linear_weights(Path("nan.caffemodel"), weight=broken)
    code, error = refused(capsys, "linear", "--out", "bundle", "--weights", "nan.caffemodel")
    assert (code, "'score'" in error, "NaN" in error) == (6, True, True)
    linear.write_linear_weights(Path("other.caffemodel"), name="score2")
    code, error = refused(capsys, "linear", "--out", "bundle", "--weights", "other.caffemodel")
    assert (code, "has nothing for the net's layers 'score'" in error) == (6, True)
    (model / "snapshots" / "linear_iter_9.caffemodel").unlink()
    code, error = refused(capsys, "linear", "--out", "bundle")
    assert (code, "train it first" in error) == (6, True)


def test_without_the_dataset_the_mean_tells_the_size(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    report = deployed(capsys, "linear", "--out", "bundle", "--no-opencv")
    assert [check["what"] for check in report["checks"]] == ["the tested net, on made-up pictures"]
    said = json.loads(Path("bundle/preprocess.json").read_text())
    assert said["resize"] == {"mode": "squash", "height": 11, "width": 13}


def test_what_opencv_cannot_read_is_said(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (model / "train_val.prototxt").read_text()
    clip = 'layer { name: "cut" type: "Clip" bottom: "answer" top: "answer" clip_param { min: -9 max: 9 } }'
    (model / "train_val.prototxt").write_text(
        text.replace('layer { name: "accuracy"', clip + 'layer { name: "accuracy"')
    )
    report = deployed(capsys, "linear", "--out", "bundle")
    (opencv,) = (check for check in report["checks"] if check["what"].startswith("OpenCV"))
    assert (opencv["worst"], "Clip (layer 'cut')" in opencv["reason"]) == (None, True)
    assert "Clip (layer 'cut')" in Path("bundle/README.md").read_text()


def test_where_opencv_differs_the_layer_is_named(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from caffeflow.workflows import deploy_check

    real = deploy_check.run_opencv

    def wrong(*files, inputs, layer):
        return real(*files, inputs=inputs, layer=layer) * 1.01

    monkeypatch.setattr(deploy_check, "run_opencv", wrong)
    code, error = refused(capsys, "linear", "--out", "bundle")
    assert (code, "the first layer that differs is 'score' (InnerProduct)" in error) == (1, True)
    assert not Path("bundle").exists()
