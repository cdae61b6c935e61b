"""`caffeflow test` on records that do not come from pictures: HDF5 rows, windows; and what has no records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.proto.binary import LayerArrays, write_caffemodel, write_mean
from tests.support.oracles import classification as oracle
from tests.support.window_files import write_windows

CLASSES, FEATURES = 5, 7
ROWS = np.random.default_rng(3).normal(0, 1, (23, FEATURES)).astype(np.float32)
LABELS = np.random.default_rng(4).integers(0, CLASSES, 23)
WEIGHT = np.random.default_rng(5).normal(0, 1, (CLASSES, FEATURES)).astype(np.float32)

NET = """
name: "rows"
DATA
layer { name: "score" type: "InnerProduct" bottom: "x" top: "score"
  inner_product_param { num_output: 5 bias_term: false } }
LOSS
"""
HDF5 = 'layer { name: "rows" type: "HDF5Data" TOPS hdf5_data_param { source: "files.txt" batch_size: 4 shuffle: true } }'
SOFTMAX_LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "truth" top: "loss" }'
INFOGAIN_LOSS = """layer { name: "loss" type: "InfogainLoss" bottom: "score" bottom: "truth" top: "loss"
  infogain_loss_param { source: "h.binaryproto" } }"""
WINDOWS = """layer { name: "cut" type: "WindowData" top: "x" top: "truth" window_data_param {
  source: "windows.txt" batch_size: 4 fg_threshold: 0.5 bg_threshold: 0.3 fg_fraction: 0.5 }
  transform_param { crop_size: 11 } }"""
MEMORY = """layer { name: "given" type: "MemoryData" top: "x" top: "truth"
  memory_data_param { batch_size: 4 channels: 7 height: 1 width: 1 } }"""
DUMMY = 'layer { name: "made" type: "DummyData" top: "x" top: "truth" dummy_data_param { shape { dim: 4 dim: 7 } } }'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with weights, two files of rows, and a matrix for InfogainLoss."""
    monkeypatch.chdir(tmp_path)
    for name, rows in (("a", slice(0, 9)), ("b", slice(9, 23))):
        with h5py.File(f"{name}.h5", "w") as file:
            file["x"], file["truth"] = ROWS[rows], LABELS[rows].astype(np.float32)[:, None]
    Path("files.txt").write_text("a.h5 b.h5")
    write_weights(WEIGHT)
    write_mean("h.binaryproto", np.eye(CLASSES, dtype=np.float32)[None])
    return tmp_path


def write_weights(weight: np.ndarray) -> None:
    layer = LayerArrays("score", "InnerProduct", ("x",), ("score",), (weight,))
    write_caffemodel("w.caffemodel", name="rows", layers=[layer])


def score(data: str, *words: str, loss: str = SOFTMAX_LOSS) -> int:
    Path("net.prototxt").write_text(NET.replace("DATA", data).replace("LOSS", loss))
    return run(["test", "net.prototxt", "--weights", "w.caffemodel", "--device", "cpu", *words])


def expected() -> dict[str, float]:
    loss = top1 = 0.0
    for row, label in zip(ROWS.astype(np.float64), LABELS.tolist(), strict=True):
        scores = WEIGHT.astype(np.float64) @ row
        shifted = np.exp(scores - scores.max())
        loss -= float(np.log(shifted[label] / shifted.sum())) / len(ROWS)
        top1 += oracle.is_right(scores, label, 1) / len(ROWS)
    return {"loss": loss, "top1": top1}


@pytest.mark.parametrize("tops", [("x", "truth"), ("truth", "x")], ids="-".join)
@pytest.mark.parametrize("loss", [SOFTMAX_LOSS, INFOGAIN_LOSS], ids=["softmax", "infogain"])
def test_rows_of_hdf5_count_once_wherever_the_labels_stand(
    tops: Sequence[str], loss: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data = HDF5.replace("TOPS", " ".join(f'top: "{top}"' for top in tops))
    assert score(data, "--json", loss=loss) == 0
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (result["records"], result["source"], result["batch_size"]) == (23, "files.txt", 4)
    figures = expected()
    assert result["loss"] == pytest.approx(figures["loss"], rel=1e-5)
    assert result["top1"] == pytest.approx(figures["top1"])


def test_pictures_do_not_take_the_place_of_rows(capsys: pytest.CaptureFixture[str]) -> None:
    assert score(HDF5.replace("TOPS", 'top: "x" top: "truth"'), "--data", "somewhere") == 2
    error = capsys.readouterr().err
    assert all(word in error for word in ("--data", "'rows'", "HDF5Data", "deploy net"))


def test_windows_are_tested_in_batches_as_caffe_does(capsys: pytest.CaptureFixture[str]) -> None:
    write_windows(Path(), [[(2, 0.75, 7, 11, 29, 23), (0, 0.12, 5, 5, 30, 30)], [(3, 0.5, 2, 3, 20, 29)]])
    write_weights(np.zeros((CLASSES, 3 * 11 * 11), np.float32))
    assert score(WINDOWS) == 2
    error = capsys.readouterr().err
    assert all(word in error for word in ("'cut'", "WindowData", "without end", "--like-caffe"))
    assert score(WINDOWS, "--like-caffe", "--iterations", "3", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["iterations"], result["loss"]) == (3, pytest.approx(np.log(CLASSES), rel=1e-6))


@pytest.mark.parametrize(
    ("data", "words"),
    [(MEMORY, ("'given'", "MemoryData", "caffeflow.pycaffe")), (DUMMY, ("'made'", "makes its values"))],
)
def test_what_has_no_records_is_refused(
    data: str, words: Sequence[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert score(data) == 4
    error = capsys.readouterr().err
    assert all(word in error for word in (*words, "net.prototxt:", "HDF5Data"))


def test_deploy_says_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    Path("net.prototxt").write_text(
        NET.replace("DATA", HDF5.replace("TOPS", 'top: "x" top: "truth"')).replace("LOSS", SOFTMAX_LOSS)
    )
    assert run(["deploy", "net.prototxt", "--weights", "w.caffemodel", "--out", "bundle"]) == 4
    error = capsys.readouterr().err
    assert all(word in error for word in ("'rows'", "HDF5Data", "ImageData", "deploy file"))
    assert not Path("bundle").exists()
