from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from caffeflow.cli.main import run

NET = """
name: "tiny"
layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN }
  data_param { source: "no/such_lmdb" batch_size: 5 } transform_param { crop_size: 7 } }
layer { name: "data" type: "Input" top: "data" include { phase: TEST }
  input_param { shape { dim: 2 dim: 3 dim: 11 dim: 13 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 } }
layer { name: "prob" type: "Softmax" bottom: "conv" top: "prob" }
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    (tmp_path / "tiny.prototxt").write_text(NET)
    return "tiny.prototxt"


def test_a_file_is_summed_up_in_its_test_phase(net: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["summary", net, "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["name"] == "tiny"
    assert found["input"] == [2, 3, 11, 13]
    assert (found["parameters"], found["macs"]) == (2 * 27 + 2, 2 * 9 * 11 * 27)


def test_a_missing_source_asks_for_the_shape_of_its_records(
    net: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["summary", net, "--phase", "TRAIN"]) == 4
    message = capsys.readouterr().err
    assert "tiny.prototxt:3" in message
    assert "--record" in message
    assert "no/such_lmdb" in message
    assert run(["summary", net, "--phase", "TRAIN", "--record", "3x9x8", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["input"] == [5, 3, 7, 7]
    assert found["macs"] == 2 * 25 * 27


@pytest.mark.parametrize("record", ["3x9", "3x9x0", "axbxc", "-3x9x9"])
def test_a_record_that_is_no_shape_is_a_usage_error(net: str, record: str) -> None:
    assert run(["summary", net, f"--record={record}"]) == 2


def test_a_catalogue_net_and_a_folder_stand_in_one_table(
    net: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "deploy.prototxt").write_text((tmp_path / net).read_text())
    assert run(["summary", "lenet", "models/mine"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert [row[0] for row in rows if row[0] in ("lenet", "mine")] == ["lenet", "mine"]


def test_a_catalogue_net_does_not_depend_on_the_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["summary", "lenet", "--set", "net.classes=7", "--phase", "TRAIN", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["parameters"] == 431_080 - 3 * 501
    assert found["input"][1:] == [1, 28, 28]


@pytest.mark.parametrize(
    ("words", "code", "expected"),
    [
        (["lenettt"], 3, "did you mean 'lenet'"),
        (["some/where"], 2, "some/where"),
        (["gone.prototxt"], 4, "gone.prototxt"),
        (["lenet", "--set", "net.clases=3"], 3, "net.classes"),
        (["lenet", "--set", "net.classes"], 2, "NAME=VALUE"),
        (["."], 2, "deploy.prototxt"),
    ],
)
def test_what_cannot_be_found_is_named(
    words: list[str], code: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["summary", *words]) == code
    assert expected in capsys.readouterr().err


def test_draw_makes_both_kinds_of_picture(net: str, tmp_path: Path) -> None:
    assert run(["draw", net, "--out", "pictures/tiny.svg"]) == 0
    svg = (tmp_path / "pictures" / "tiny.svg").read_text()
    assert all(word in svg for word in ("tiny", "conv", "Softmax"))
    assert run(["draw", "lenet", "--out", "lenet.png"]) == 0
    assert cv2.imread(str(tmp_path / "lenet.png")) is not None


def test_draw_replaces_only_with_force(net: str, tmp_path: Path) -> None:
    (tmp_path / "net.svg").write_text("mine")
    assert run(["draw", net, "--out", "net.svg"]) == 2
    assert (tmp_path / "net.svg").read_text() == "mine"
    assert run(["draw", net, "--out", "net.svg", "--force"]) == 0
    assert run(["draw", net, "--out", "net.pdf"]) == 2


def test_layers_of_another_caffe_are_drawn_without_shapes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "other.prototxt").write_text(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 5 dim: 7 } } }'
        'layer { name: "norm" type: "VideoData" bottom: "data" top: "norm" }'
    )
    assert run(["draw", "other.prototxt", "--out", "other.svg"]) == 0
    assert "VideoData" in (tmp_path / "other.svg").read_text()
    assert "without shapes" in caplog.text
