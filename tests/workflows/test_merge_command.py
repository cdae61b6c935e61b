from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.engine.calibration import calibrate
from caffeflow.engine.net import Net
from caffeflow.engine.synthetic import synthetic_feeds
from caffeflow.engine.training import FusedExecutor
from caffeflow.layers.inference import infer
from caffeflow.proto.binary import read_caffemodel, write_caffemodel
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import parse
from caffeflow.weights.initial import initial_arrays
from caffeflow.workflows.open_net import Ask, open_net
from tests.support.engine_nets import convolution, layer, norm

# A convolution whose BatchNorm is merged in deploy, one whose BatchNorm stays, one that never had any.
DATA = layer("data", "Input", "", "data", "input_param { shape { dim: 3 dim: 3 dim: 11 dim: 13 } }")
LAST = convolution("last", "b", "last", 2, 1)
STAYS = convolution("b", "a", "b", 7, 3, "bias_term: false") + norm("b/bn", "b", "b")
TRAIN = DATA + convolution("a", "data", "a", 5, 3, "bias_term: false") + norm("a/bn", "a", "a") + STAYS + LAST
DEPLOY = DATA + convolution("a", "data", "a", 5, 3) + STAYS + LAST


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A folder with both prototxts, and weights of the first."""
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "train.prototxt").write_text(TRAIN)
    (folder / "deploy.prototxt").write_text(DEPLOY)
    opened = open_net(Ask(net=str(folder), phase="TRAIN"))
    net = Net(opened.graph, opened.shapes(), seed=None)
    net.load(initial_arrays(opened.shapes(), seed=3))
    calibrate(net, [synthetic_feeds(net, seed=seed) for seed in range(3)])
    write_caffemodel(folder / "own.caffemodel", name="own", layers=net.arrays())
    return folder


def outputs(prototxt: str, weights: Path) -> np.ndarray:
    graph = build_graph(filter_net(parse(prototxt, NetParameter(), source="test"), net_state("TEST")))
    net = Net(graph, infer(graph), seed=None)
    net.load(read_caffemodel(weights))
    made: np.ndarray = (
        FusedExecutor(net, keep=["last"]).forward(synthetic_feeds(net, seed=7)).outputs["last"].numpy()
    )
    return made


def test_the_deploy_net_does_what_the_trained_one_did(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = trained / "own.caffemodel"
    assert run(["weights", "merge", str(weights), "--to", str(trained)]) == 0
    shown = capsys.readouterr()
    assert shown.out.strip() == str(trained / "own_deploy.caffemodel")
    assert "1 folded, 4 copied" in shown.err
    assert "unused of the file: none" in shown.err
    wanted, found = outputs(TRAIN, weights), outputs(DEPLOY, trained / "own_deploy.caffemodel")
    assert wanted.std() > 0.1
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


def test_a_file_is_replaced_only_with_force(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["weights", "merge", str(trained / "own.caffemodel"), "--to", str(trained / "deploy.prototxt")]
    assert run(words) == 0
    assert run(words) == 2
    assert "--force" in capsys.readouterr().err
    assert run([*words, "--force"]) == 0


def test_weights_of_another_net_are_refused(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    layers = [each for each in read_caffemodel(trained / "own.caffemodel") if each.name != "last"]
    write_caffemodel("other.caffemodel", name="other", layers=layers)
    assert run(["weights", "merge", "other.caffemodel", "--to", str(trained)]) == 6
    assert "has no layer 'last'" in capsys.readouterr().err
    assert not Path("other_deploy.caffemodel").exists()


def test_a_training_net_without_the_batch_norms_is_noticed(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["weights", "merge", str(trained / "own.caffemodel"), "--to", str(trained)]
    assert run([*words, "--trained", str(trained / "deploy.prototxt")]) == 6
    assert "layer 'a' of the net has blobs" in capsys.readouterr().err


@pytest.mark.slow
def test_mobilenet_ssd_is_merged_for_its_published_deploy_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "mobilenet-ssd-voc", "--width", "0.25", "--out", "net"]) == 0
    words = ["weights", "init", "mobilenet-ssd-voc", "--set", "width=0.25", "--record", "3x300x300"]
    assert run([*words, "--batch-size", "1", "--out", "net.caffemodel"]) == 0
    capsys.readouterr()
    assert run(["weights", "merge", "net.caffemodel", "--to", "net"]) == 0
    assert "35 folded, 12 copied" in capsys.readouterr().err
    deploy = open_net(Ask(net="net"))
    layers = read_caffemodel("net_deploy.caffemodel")
    assert {each.name for each in layers} == {facts.name for facts in deploy.shapes().layers if facts.blobs}
