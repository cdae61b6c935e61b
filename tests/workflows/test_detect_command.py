"""`caffeflow detect` on a net whose boxes are known: its heads see nothing, so each prior is found as it is."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.proto.binary import LayerArrays, write_caffemodel

HEIGHT, WIDTH = 60, 90
LOGITS = np.array([[0.0, 2.0, 0.0], [0.0, 0.0, 1.0]], np.float32)  # of the two priors, three classes

DEPLOY = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 20 dim: 20 } } }
layer { name: "map" type: "Pooling" bottom: "data" top: "map" pooling_param { pool: AVE global_pooling: true } }
layer { name: "loc" type: "Convolution" bottom: "map" top: "loc" convolution_param { num_output: 8 kernel_size: 1 } }
layer { name: "loc_flat" type: "Flatten" bottom: "loc" top: "loc_flat" }
layer { name: "conf" type: "Convolution" bottom: "map" top: "conf" convolution_param { num_output: 6 kernel_size: 1 } }
layer { name: "conf_flat" type: "Reshape" bottom: "conf" top: "conf_flat"
  reshape_param { shape { dim: 0 dim: -1 dim: 3 } } }
layer { name: "prob" type: "Softmax" bottom: "conf_flat" top: "prob" softmax_param { axis: 2 } }
layer { name: "prob_flat" type: "Flatten" bottom: "prob" top: "prob_flat" }
layer { name: "priors" type: "PriorBox" bottom: "map" bottom: "data" top: "priors"
  prior_box_param { min_size: 10 max_size: 14.4 variance: 0.1 } }
layer { name: "found" type: "DetectionOutput" bottom: "loc_flat" bottom: "prob_flat" bottom: "priors" top: "found"
  detection_output_param { num_classes: 3 code_type: CENTER_SIZE confidence_threshold: 0.6 keep_top_k: 10
    nms_param { nms_threshold: 0.9 top_k: 10 } } }
"""
LABEL_MAP = """
item { name: "none" label: 0 display_name: "background" }
item { name: "cat" label: 1 display_name: "a cat" }
item { name: "dog" label: 2 display_name: "a dog" }
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder models/spy with net, weights and label map, under the working folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "models" / "spy"
    folder.mkdir(parents=True)
    (folder / "deploy.prototxt").write_text(DEPLOY)
    (folder / "labelmap.prototxt").write_text(LABEL_MAP)
    layers = [
        LayerArrays(
            name, "Convolution", ("map",), (name,), (np.zeros((len(bias), 3, 1, 1), np.float32), bias)
        )
        for name, bias in (("loc", np.zeros(8, np.float32)), ("conf", LOGITS.reshape(-1)))
    ]
    write_caffemodel(folder / "spy.caffemodel", name="spy", layers=layers)
    return folder


def paint(path: Path, *, grey: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((HEIGHT, WIDTH, 3), grey, np.uint8))
    return path


def found(capsys: pytest.CaptureFixture[str], *words: str | Path) -> list[dict]:
    assert run(["detect", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_boxes_are_pixels_of_the_image(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (seen,) = found(capsys, paint(Path("a.png")))
    assert (seen["height"], seen["width"], seen["drawn"]) == (HEIGHT, WIDTH, None)
    (cat,) = seen["detections"]
    assert (cat["label"], cat["name"]) == (1, "a cat")
    probability = np.exp(2) / (np.exp(2) + 2)
    assert cat["score"] == pytest.approx(probability, abs=1e-6)
    # The first prior is half as wide and high as the net's input of 20, in its middle.
    assert cat["box"] == pytest.approx([WIDTH / 4, HEIGHT / 4, 3 * WIDTH / 4, 3 * HEIGHT / 4], abs=1e-4)


def test_threshold_goes_below_the_nets_own(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (seen,) = found(capsys, paint(Path("a.png")), "--threshold", "0.5")
    assert [each["name"] for each in seen["detections"]] == ["a cat", "a dog"]
    side = np.float32(np.sqrt(10 * 14)) / 20  # the sizes are cut to whole numbers
    x, y, *_ = seen["detections"][1]["box"]
    assert (x, y) == pytest.approx((WIDTH * (1 - side) / 2, HEIGHT * (1 - side) / 2), abs=1e-3)


def test_folders_are_searched_and_pictures_drawn(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in range(5):
        paint(Path(f"in/{place % 2}/{place}.png"))
    seen = found(capsys, "in", "--out", "out", "--batch-size", "2")
    assert [each["drawn"] for each in seen] == [
        f"out/{name}.png" for name in ("0/0", "0/2", "0/4", "1/1", "1/3")
    ]
    drawn = cv2.imread(seen[0]["drawn"])
    assert drawn.shape == (HEIGHT, WIDTH, 3)
    changed = (drawn != 100).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    assert abs(rows[-1] - 3 * HEIGHT / 4) <= 2
    assert abs(columns[0] - WIDTH / 4) <= 2
    assert not changed[HEIGHT // 2, WIDTH // 2]


def test_drawn_pictures_are_replaced_only_with_force(net: Path) -> None:
    picture = str(paint(Path("in/a.png")))
    assert run(["detect", picture, "--out", "out"]) == 0
    assert run(["detect", picture, "--out", "out"]) == 2
    assert run(["detect", picture, "--out", "out", "--force"]) == 0
    assert run(["detect", picture, "--out", "in", "--force"]) == 2


def test_lines_for_people(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = paint(Path("a.png"))
    assert run(["detect", str(picture)]) == 0
    assert capsys.readouterr().out == "a.png: a cat 0.787 22.5 15.0 67.5 45.0\n"
    assert run(["detect", str(picture), "--threshold", "0.9"]) == 0
    assert capsys.readouterr().out == "a.png: nothing found\n"


def test_a_broken_picture_is_left_out_and_named(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paint(Path("in/a.png"))
    Path("in/b.png").write_bytes(Path("in/a.png").read_bytes()[:60])
    assert run(["detect", "in", "--json"]) == 0
    streams = capsys.readouterr()
    assert [each["image"] for each in json.loads(streams.out)] == ["in/a.png"]
    assert "left out: image 'in/b.png' is truncated" in streams.err
    assert run(["detect", "in/b.png"]) == 5


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["none.png"], 5, "none.png: no such file or folder"),
        (["empty"], 5, "has no pictures"),
        (["a.png", "in/a.png", "--out", "drawn"], 2, "would both be drawn as drawn/a.png"),
        (["a.png", "--net", "lenet"], 2, "there is no net 'lenet'"),
        (["a.png", "--label-map", "none.prototxt"], 5, "label map cannot be read"),
    ],
)
def test_what_cannot_be(
    net: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    paint(Path("a.png"))
    paint(Path("in/a.png"))
    Path("empty").mkdir()
    assert run(["detect", *words]) == code
    assert message in capsys.readouterr().err


def test_the_transformation_is_the_test_nets(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (net / "test.prototxt").write_text(
        'layer { name: "data" type: "AnnotatedData" top: "data" top: "label" include { phase: TEST }\n'
        '  data_param { source: "none" batch_size: 1 backend: LMDB }\n'
        "  transform_param { mean_value: 70 scale: 0.1 resize_param { height: 20 width: 20\n"
        "    resize_mode: FIT_LARGE_SIZE_AND_PAD } } }\n"
    )
    (seen,) = found(capsys, paint(Path("a.png")))
    # 90 x 60 stands in the middle of 20 x 20, so that half of the net's height is 3/4 of the image's.
    height = HEIGHT * 0.75
    expected = [WIDTH / 4, (HEIGHT - height) / 2, 3 * WIDTH / 4, (HEIGHT + height) / 2]
    assert seen["detections"][0]["box"] == pytest.approx(expected, abs=1e-3)


def test_a_picture_that_does_not_fit_the_net_is_named(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (net / "test.prototxt").write_text(
        'layer { name: "data" type: "AnnotatedData" top: "data" top: "label" include { phase: TEST }\n'
        '  data_param { source: "none" batch_size: 1 backend: LMDB }\n'
        "  transform_param { resize_param { height: 20 width: 20 resize_mode: FIT_SMALL_SIZE } } }\n"
    )
    assert run(["detect", str(paint(Path("in/a.png")))]) == 5
    assert "in/a.png: is 60x90 and comes to the net as 20x30" in capsys.readouterr().err


def test_a_net_without_boxes_is_refused(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = DEPLOY[: DEPLOY.index('layer { name: "found"')]
    (net / "deploy.prototxt").write_text(text)
    assert run(["detect", str(paint(Path("a.png")))]) == 4
    assert "0 DetectionOutput layers, expected one" in capsys.readouterr().err
