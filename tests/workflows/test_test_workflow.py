"""`caffeflow test` on a linear classifier whose figures a few lines of numpy give."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.data.manifest import Manifest, Split, write_manifest
from caffeflow.proto.binary import LayerArrays, write_caffemodel, write_mean
from tests.support.oracles import classification as oracle
from tests.support.records import random_planes, write_image_list, write_raw_lmdb

SHAPE = (3, 5, 7)
CLASSES = 7
COUNT = 23
PLANES = random_planes(COUNT, SHAPE)
LABELS = [int(label) for label in np.random.default_rng(2).integers(0, CLASSES, COUNT)]
WEIGHT = np.random.default_rng(3).normal(0, 0.02, (CLASSES, 105)).astype(np.float32)
BIAS = np.arange(CLASSES, dtype=np.float32) / 10
MEAN = np.random.default_rng(4).uniform(100, 140, SHAPE).astype(np.float32)

TRAIN_VAL = """
name: "linear"
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }}
  data_param {{ source: "never/read" batch_size: 4 backend: LMDB }} }}
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  transform_param {{ mean_file: "{folder}/mean.binaryproto" scale: 0.5 }}
  data_param {{ source: "{source}" batch_size: 4 backend: LMDB }} }}
layer {{ name: "score" type: "InnerProduct" bottom: "data" top: "score"
  inner_product_param {{ num_output: 7 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "accuracy" type: "Accuracy" bottom: "score" bottom: "label" top: "accuracy"
  include {{ phase: TEST }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }}
"""
DEPLOY = """
name: "linear"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 5 dim: 7 } } }
layer { name: "score" type: "InnerProduct" bottom: "data" top: "score" inner_product_param { num_output: 7 } }
layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }
"""


def expected(count: int = COUNT) -> dict[str, float]:
    """Returns loss, top-1 and top-5 of the first records, one by one."""
    loss = top1 = top5 = 0.0
    for planes, label in list(zip(PLANES, LABELS, strict=True))[:count]:
        scores = WEIGHT.astype(np.float64) @ ((planes - MEAN) * 0.5).ravel().astype(np.float64) + BIAS
        shifted = np.exp(scores - scores.max())
        loss -= float(np.log(shifted[label] / shifted.sum()))
        top1 += oracle.is_right(scores, label, 1)
        top5 += oracle.is_right(scores, label, 5)
    return {"loss": loss / count, "top1": top1 / count, "top5": top5 / count}


def write_weights(path: Path, *, name: str = "score", weight: np.ndarray = WEIGHT) -> Path:
    layer = LayerArrays(
        name=name, type="InnerProduct", bottoms=("data",), tops=(name,), arrays=(weight, BIAS)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_caffemodel(path, name="linear", layers=[layer])
    return path


def write_dataset(folder: Path, *, backend: str = "lmdb", planes: list[np.ndarray] = PLANES) -> Path:
    """Writes a finished dataset with a val split only."""
    labels = LABELS[: len(planes)]
    if backend == "lmdb":
        write_raw_lmdb(folder / "val_lmdb", planes, labels)
    else:
        write_image_list(folder / "val", planes, labels).rename(folder / "val.txt")
    split = Split(
        path="val_lmdb" if backend == "lmdb" else "val.txt", root=None if backend == "lmdb" else "val",
        count=len(planes), rejected={}, unusual={}, labels={}, digest="",
    )  # fmt: skip
    names = tuple(f"kind {label}" for label in range(CLASSES))
    manifest = Manifest(
        name="linear", source="folder", backend=backend, encode="raw", channels=3, height=5, width=7,
        classes=CLASSES, class_names=names, splits={"val": split}, mean=None, settings={},
    )  # fmt: skip
    write_manifest(folder, manifest)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder with weights, and its dataset."""
    folder = tmp_path / "models" / "linear"
    folder.mkdir(parents=True)
    data = write_dataset(tmp_path / "data" / "own")
    write_mean(folder / "mean.binaryproto", MEAN)
    (folder / "train_val.prototxt").write_text(TRAIN_VAL.format(folder=folder, source=data / "val_lmdb"))
    (folder / "deploy.prototxt").write_text(DEPLOY)
    write_weights(folder / "snapshots" / "linear_iter_9.caffemodel")
    return folder


def result_of(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    """Runs the command, which must succeed, and returns its JSON."""
    code = run(["test", *map(str, words), "--json", "--device", "cpu"])
    said = capsys.readouterr()
    assert code == 0, said.err
    return json.loads(said.out)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """Runs the command, which must fail in one line, and returns its code and the line."""
    code = run(["test", *map(str, words), "--device", "cpu"])
    said = capsys.readouterr()
    assert said.out == ""
    error = said.err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    return code, error


def assert_expected(result: dict[str, Any], count: int = COUNT) -> None:
    assert result["records"] == count
    figures = expected(count)
    assert result["loss"] == pytest.approx(figures["loss"], rel=1e-5)
    assert result["top1"] == pytest.approx(figures["top1"])
    assert result["top5"] == pytest.approx(figures["top5"])


@pytest.mark.parametrize("batch_size", [1, 4, 23, 50])
def test_each_record_counts_once_whatever_the_batch(
    model: Path, capsys: pytest.CaptureFixture[str], batch_size: int
) -> None:
    result = result_of(capsys, "linear", "--batch-size", batch_size)
    assert_expected(result)
    assert result["outputs"]["loss"] == pytest.approx(result["loss"])
    assert result["outputs"]["accuracy"] == pytest.approx(result["top1"])
    assert result["batch_size"] == batch_size


def test_with_nothing_but_its_name_it_finds_the_only_net_and_its_newest_weights(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = result_of(capsys)
    assert_expected(result)
    assert result["net"] == "models/linear/train_val.prototxt"
    assert result["weights"] == "models/linear/snapshots/linear_iter_9.caffemodel"


@pytest.mark.parametrize("asked", ["models/linear", "models/linear/train_val.prototxt", "linear"])
def test_a_net_has_three_names(model: Path, capsys: pytest.CaptureFixture[str], asked: str) -> None:
    assert_expected(result_of(capsys, asked))


@pytest.mark.parametrize("backend", ["lmdb", "imagedata"])
def test_another_dataset_takes_the_place_of_the_source_only(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], backend: str
) -> None:
    other = write_dataset(tmp_path / "other", backend=backend, planes=PLANES[:14])
    result = result_of(capsys, "linear", "--data", other)
    assert_expected(result, 14)
    assert result["source"].startswith(str(other))
    assert result["per_class"][3]["name"] == "kind 3"


def test_an_lmdb_will_do_as_data(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = write_raw_lmdb(tmp_path / "plain_lmdb", PLANES[:5], LABELS[:5])
    result = result_of(capsys, "linear", "--data", plain)
    assert_expected(result, 5)
    assert result["per_class"][3]["name"] == "3"


def test_classes_and_confusion(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = result_of(capsys, "linear")
    confusion = np.array(result["confusion"])
    assert confusion.sum() == COUNT
    for label, each in enumerate(result["per_class"]):
        assert each["records"] == LABELS.count(label) == confusion[label].sum()
        assert each["accuracy"] == pytest.approx(confusion[label, label] / LABELS.count(label))
    assert result["most_confused"][0]["records"] == (confusion - np.diag(confusion.diagonal())).max()


def test_a_deploy_net_is_transformed_as_the_train_val_file_beside_it_says(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = result_of(capsys, model / "deploy.prototxt")
    assert_expected(result)
    assert result["outputs"] == {}


def test_a_lone_deploy_net_takes_data_mean_and_scale_from_options(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lone = tmp_path / "lone.prototxt"
    lone.write_text(DEPLOY)
    weights = ("--weights", model / "snapshots" / "linear_iter_9.caffemodel")
    code, error = refused(capsys, lone, *weights)
    assert (code, "--data" in error) == (2, True)
    data = ("--data", tmp_path / "data" / "own")
    options = ("--mean", model / "mean.binaryproto", "--scale", "0.5")
    assert_expected(result_of(capsys, lone, *weights, *data, *options))
    assert result_of(capsys, lone, *weights, *data)["loss"] != pytest.approx(expected()["loss"], rel=0.01)
    code, error = refused(capsys, lone, *weights, *data, "--mean", "high")
    assert (code, "'high'" in error) == (2, True)
    code, error = refused(capsys, "linear", "--scale", "2")
    assert (code, "deploy nets" in error) == (2, True)


def test_tables_on_a_terminal(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["test", "linear"]) == 0
    said = capsys.readouterr()
    assert f"{100 * expected()['top1']:.2f} %" in said.out
    assert f"each of {COUNT} records once" in said.out
    assert "most often confused" in said.out
    assert "layers copied: 1" in said.err


def test_a_deploy_net_says_which_size_it_takes(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gray = write_raw_lmdb(tmp_path / "gray_lmdb", random_planes(3, (1, 5, 7)))
    code, error = refused(capsys, model / "deploy.prototxt", "--data", gray, "--mean", "none")
    assert code == 5
    assert "records are 1 x 5 x 7" in error
    assert "takes 3 x 5 x 7" in error


def test_scores_for_each_pixel_are_refused(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = DEPLOY.replace('type: "InnerProduct"', 'type: "Convolution"')
    net = net.replace(
        "inner_product_param { num_output: 7 }", "convolution_param { num_output: 7 kernel_size: 1 }"
    )
    (model / "deploy.prototxt").write_text(net)
    weights = write_weights(model / "pixels.caffemodel", weight=WEIGHT[:, :3].reshape(7, 3, 1, 1))
    code, error = refused(capsys, model / "deploy.prototxt", "--weights", weights)
    assert code == 4
    assert "'prob' is 4 x 7 x 5 x 7" in error


def test_like_caffe_counts_whole_batches_around_the_corner(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = result_of(capsys, "linear", "--like-caffe", "--iterations", 7)
    taken = [index % COUNT for index in range(28)]
    right = []
    for index in taken:
        scores = WEIGHT @ ((PLANES[index] - MEAN) * 0.5).ravel().astype(np.float32) + BIAS
        right.append(oracle.is_right(scores, LABELS[index], 1))
    assert result["outputs"][0]["blob"] == "accuracy"
    assert result["outputs"][0]["value"] == pytest.approx(np.mean(right))
    assert run(["test", "linear", "--like-caffe", "--iterations", "2"]) == 0
    lines = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines() if "caffe.cpp" in line]
    assert lines[:3] == [
        "Use CPU.",
        "Running for 2 iterations.",
        f"Batch 0, accuracy = {np.mean(right[:4]):g}",
    ]
    assert lines[3].startswith("Batch 0, loss = ")
    assert lines[-3].startswith("Loss: ")
    loss = lines[-3].removeprefix("Loss: ")
    assert lines[-2:] == [f"accuracy = {np.mean(right[:8]):g}", f"loss = {loss} (* 1 = {loss} loss)"]


def test_the_result_goes_to_the_run_that_made_the_weights(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = write_weights(tmp_path / "runs" / "linear-001" / "snapshots" / "a.caffemodel")
    now = datetime.now().astimezone()
    for number, begun in ((1, now - timedelta(days=3)), (2, now - timedelta(minutes=1))):
        folder = tmp_path / "runs" / f"linear-00{number}"
        folder.mkdir(parents=True, exist_ok=True)
        record = {
            "format": 1, "solver_path": str(model / "solver.prototxt"),
            "started": begun.isoformat(), "finished": (begun + timedelta(minutes=2)).isoformat(),
        }  # fmt: skip
        (folder / "run.json").write_text(json.dumps(record))
    result = result_of(capsys, "linear", "--weights", inside)
    assert json.loads((tmp_path / "runs/linear-001/tests/a.val_lmdb.json").read_text()) == result
    result_of(capsys, "linear", "--weights", model / "snapshots" / "linear_iter_9.caffemodel")
    assert (tmp_path / "runs/linear-002/tests/linear_iter_9.val_lmdb.json").exists()


def test_weights_that_lack_a_layer_are_an_error_that_names_it(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = write_weights(tmp_path / "other.caffemodel", name="score2")
    code, error = refused(capsys, "linear", "--weights", renamed)
    assert code == 6
    assert "has nothing for layer 'score'" in error
    short = write_weights(tmp_path / "short.caffemodel", weight=WEIGHT[:, :100])
    code, error = refused(capsys, "linear", "--weights", short)
    assert code == 6
    assert "layer 'score'" in error


def test_scores_that_are_no_numbers_fail_the_check(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = write_weights(tmp_path / "nan.caffemodel", weight=np.where(WEIGHT > 0.05, np.nan, WEIGHT))
    code, error = refused(capsys, "linear", "--weights", broken)
    assert code == 1
    assert f"{COUNT} of {COUNT} records" in error
    assert "caffeflow weights show" in error


def test_what_is_missing_is_said(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    for words, expected_code, message in (
        (["resnet"], 2, "caffeflow render resnet"),
        ([nothing], 2, "holds none of"),
        (["linear", "--data", nothing], 5, "no dataset.json"),
        (
            ["linear", "--data", tmp_path / "data" / "own", "--split", "train"],
            5,
            "no split 'train', only val",
        ),
        (["linear", "--weights", tmp_path / "no.caffemodel"], 6, "no.caffemodel"),
        (["linear", "--iterations", "3"], 2, "--like-caffe"),
    ):
        code, error = refused(capsys, *words)
        assert (code, message in error) == (expected_code, True), error
    (model / "snapshots" / "linear_iter_9.caffemodel").unlink()
    code, error = refused(capsys, "linear")
    assert (code, "train it first" in error) == (6, True)
    (tmp_path / "models" / "second").mkdir()
    (tmp_path / "models" / "second" / "deploy.prototxt").write_text(DEPLOY)
    assert run(["test"]) == 2
    assert "name one of them: linear, second" in capsys.readouterr().err


def test_a_label_that_is_no_class_is_a_data_error(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_raw_lmdb(tmp_path / "foreign_lmdb", PLANES[:3], [0, 1, 7])
    for net in ("linear", model / "deploy.prototxt"):
        code, error = refused(
            capsys, net, "--data", path, "--weights", model / "snapshots/linear_iter_9.caffemodel"
        )
        assert code == 5
        assert "label 7" in error
