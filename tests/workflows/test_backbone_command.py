from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.proto.binary import LayerArrays, read_caffemodel, write_caffemodel


def written(path: str) -> dict[str, LayerArrays]:
    return {layer.name: layer for layer in read_caffemodel(path)}


@pytest.fixture
def mobilenet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    path = tmp_path / "mobilenet.caffemodel"
    words = ["--batch-size", "2", "--set", "input_size=64"]
    assert run(["weights", "init", "mobilenet-v1", "--out", str(path), *words]) == 0
    capsys.readouterr()
    return path


def test_the_file_is_written_beside_the_net_and_the_table_printed(
    mobilenet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["weights", "backbone", str(mobilenet), "--to", "mobilenet-ssd-voc"]) == 0
    shown = capsys.readouterr()
    out = "models/mobilenet-ssd-voc/backbone.caffemodel"
    assert shown.out.splitlines()[-1] == out
    assert ["conv1", "conv2_1/sep", "copied"] in [line.split() for line in shown.out.splitlines()]
    assert "81 copied" in shown.out
    assert "36 layers, conv14_1 to conv17_2_mbox_conf" in shown.err
    assert "unused of the file: fc7" in shown.err
    there, here = written(str(mobilenet)), written(out)
    assert len(here) == 81
    np.testing.assert_array_equal(here["conv1"].arrays[0], there["conv2_1/sep"].arrays[0])
    np.testing.assert_array_equal(here["conv1/dw/bn"].arrays[1], there["conv2_1/dw/bn"].arrays[1])


def test_inputs_of_another_scale_are_warned_of(mobilenet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["weights", "backbone", str(mobilenet), "--to", "mobilenet-ssd-voc", "--force"]
    assert run(words) == 0
    assert "--mean 103.94,116.78,123.68 --scale 0.017" in capsys.readouterr().err
    same = ["--set", "data.mean=103.94,116.78,123.68", "--set", "data.scale=0.017"]
    assert run([*words, *same]) == 0
    assert "--mean" not in capsys.readouterr().err


def test_a_rendered_folder_decides_what_is_folded(
    mobilenet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    render = ["render", "mobilenet-ssd-voc", "--no-bn", "--width", "1", "--out", "mine"]
    assert run(render) == 0
    capsys.readouterr()
    assert run(["weights", "backbone", str(mobilenet), "--to", "mine", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["net"], report["classifier"], report["out"]) == (
        "mobilenet-ssd-voc", "mobilenet-v1", "mine/backbone.caffemodel",
    )  # fmt: skip
    assert report["layers"][1] == {
        "layer": "conv1/dw", "from": ["conv2_1/dw", "conv2_1/dw/bn", "conv2_1/dw/scale"], "how": "folded",
    }  # fmt: skip
    assert len(report["layers"]) == 27
    assert len(report["new"]) == 20
    assert len(written("mine/backbone.caffemodel")) == 27
    assert run(["weights", "backbone", str(mobilenet), "--to", "mine/deploy.prototxt", "--force"]) == 0


def test_a_file_is_replaced_only_with_force(mobilenet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["weights", "backbone", str(mobilenet), "--to", "mobilenet-ssd-voc", "--out", "mine.caffemodel"]
    Path("mine.caffemodel").write_bytes(b"mine")
    assert run(words) == 2
    assert Path("mine.caffemodel").read_bytes() == b"mine"
    assert "--force" in capsys.readouterr().err
    assert run([*words, "--force"]) == 0


def test_a_file_of_another_net_is_told_what_it_fits(
    mobilenet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["weights", "backbone", str(mobilenet), "--to", "ssdlite-coco"]) == 6
    message = capsys.readouterr().err
    assert "lacks 51 of the 52 layers of mobilenet-v2:paper" in message
    assert "it fits --to mobilenet-ssd-voc (from mobilenet-v1)" in message
    assert not Path("models").exists()


def test_a_file_that_fits_nothing_is_told_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    layer = LayerArrays("ip", "InnerProduct", (), (), (np.ones((2, 3), np.float32),))
    write_caffemodel("own.caffemodel", name="own", layers=[layer])
    assert run(["weights", "backbone", "own.caffemodel", "--to", "ssd300-voc"]) == 6
    message = capsys.readouterr().err
    assert "lacks 15 of the 15 layers of vgg16" in message
    assert "ssdlite-voc (from mobilenet-v2:paper)" in message


def test_a_file_that_is_a_detection_nets_already_is_recognised(
    mobilenet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["weights", "backbone", str(mobilenet), "--to", "mobilenet-ssd-voc"]
    assert run(words) == 0
    assert run([*words[:2], "models/mobilenet-ssd-voc/backbone.caffemodel", *words[3:]]) == 6
    assert "has the layers of mobilenet-ssd-voc already" in capsys.readouterr().err


def test_another_width_is_refused(mobilenet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["weights", "backbone", str(mobilenet), "--to", "mobilenet-ssd-voc"]
    assert run([*words, "--set", "width=0.5"]) == 6
    message = capsys.readouterr().err
    assert "'conv0' of the net has blobs 16 3 3 3 (432)" in message
    assert "differ in width" in message


def test_a_net_without_backbone_and_a_file_of_unknown_origin_are_refused(
    mobilenet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["weights", "backbone", str(mobilenet), "--to", "resnet50"]) == 3
    assert "those that have are mobilenet-ssd-voc" in capsys.readouterr().err
    Path("own").mkdir()
    Path("own/net.prototxt").write_text('name: "own"')
    assert run(["weights", "backbone", str(mobilenet), "--to", "own/net.prototxt"]) == 2
    assert "name the net of the catalogue" in capsys.readouterr().err


def test_weights_of_the_other_variant_come_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--out", "v2.caffemodel", "--batch-size", "2", "--set", "input_size=64"]
    assert run(["weights", "init", "mobilenet-v2:shicai", *words]) == 0
    assert run(["weights", "backbone", "v2.caffemodel", "--to", "ssdlite-voc", "--out", "b.caffemodel"]) == 0
    shown = capsys.readouterr()
    assert "52 folded" in shown.out
    assert "mobilenet-v2:shicai" in shown.err
    assert "conv2_1/expand, conv2_1/expand/bn, conv2_1/expand/scale, fc7" in shown.err


@pytest.mark.slow
def test_vgg16_at_full_size_becomes_the_reduced_net(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["weights", "init", "vgg16", "--out", "vgg16.caffemodel", "--batch-size", "1"]) == 0
    assert run(["weights", "backbone", "vgg16.caffemodel", "--to", "ssd300-voc"]) == 0
    shown = capsys.readouterr()
    assert "13 copied, 2 converted" in shown.out
    assert "--mean" not in shown.err, "the two recipes' means differ by less than a shade"
    there, here = written("vgg16.caffemodel"), written("models/ssd300-voc/backbone.caffemodel")
    six, seven = here["fc6"].arrays, here["fc7"].arrays
    assert [array.shape for array in (*six, *seven)] == [
        (1024, 512, 3, 3),
        (1024,),
        (1024, 1024, 1, 1),
        (1024,),
    ]
    full = there["fc6"].arrays[0].reshape(4096, 512, 7, 7)
    np.testing.assert_array_equal(six[0], full[::4, :, ::3, ::3])
    np.testing.assert_array_equal(seven[0][:, :, 0, 0], there["fc7"].arrays[0][::4, ::4])
