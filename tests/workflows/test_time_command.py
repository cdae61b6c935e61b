from __future__ import annotations

import json
from pathlib import Path

import pytest

from caffeflow.cli.main import run


def test_a_net_is_timed_layer_by_layer(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["time", "lenet", "--batch-size", "2", "--iterations", "1", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    rows = [line.split() for line in printed.splitlines() if line.strip()]
    assert [row[0] for row in rows if row[0] in ("conv1", "pool2", "ip2", "loss")] == [
        "conv1",
        "pool2",
        "ip2",
        "loss",
    ]
    assert "batch 2" in printed
    assert "fwd-bwd" in printed


def test_several_nets_share_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["time", "lenet", "cifar10-quick", "--batch-size", "3", "--iterations", "1", "--device", "cpu"]
    assert run([*words, "--precision", "both", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(net["net"], net["batch_size"], net["phase"]) for net in found] == [
        ("lenet", 3, "TRAIN"),
        ("cifar10-quick", 3, "TRAIN"),
    ]
    for net in found:
        assert net["device"].startswith("CPU")
        assert net["images_per_second"] > 0
        for kind in ("layer_by_layer_ms", "fused_ms", "fused_bf16_ms"):
            assert net[kind]["forward_backward"] > net[kind]["forward"] > 0


def test_one_image_in_the_test_phase_with_weights(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["weights", "init", "lenet", "--out", "lenet.caffemodel"]) == 0
    words = ["--phase", "TEST", "--batch-size", "1", "--iterations", "1", "--device", "cpu", "--json"]
    capsys.readouterr()
    assert run(["time", "lenet", "--weights", "lenet.caffemodel", *words]) == 0
    (net,) = json.loads(capsys.readouterr().out)
    assert net["fused_ms"]["forward_backward"] is None
    assert net["fused_bf16_ms"] is None
    assert [layer["name"] for layer in net["layers"]][:2] == ["data", "conv1"]


def test_a_net_without_loss_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bare.prototxt").write_text(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }'
        'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 2 } }'
    )
    assert run(["time", "bare.prototxt", "--iterations", "1", "--device", "cpu"]) == 0
    assert "no loss" in capsys.readouterr().err


def test_weights_of_another_net_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["weights", "init", "lenet", "--set", "net.classes=3", "--out", "three.caffemodel"]) == 0
    assert run(["time", "lenet", "--weights", "three.caffemodel", "--iterations", "1"]) == 6
    assert "ip2" in capsys.readouterr().err
