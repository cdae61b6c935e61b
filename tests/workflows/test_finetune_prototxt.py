"""`caffeflow finetune` on prototxts of the user's own: train_val, deploy and old formats, which stay as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.cli.main import run
from caffeflow.proto.caffe_pb2 import LayerParameter, NetParameter
from caffeflow.proto.text import read_net, read_solver
from tests.support.finetune_nets import GOOGLENET_LIKE, HEADS, V1_NET
from tests.support.finetune_project import finetune, first_weights, make_dataset

DEPLOY = """name: "mine"
input: "picture" input_dim: 1 input_dim: 3 input_dim: 13 input_dim: 13
layer { name: "conv" type: "Convolution" bottom: "picture" top: "conv"
  convolution_param { num_output: 5 kernel_size: 3 } }
layer { name: "fc8" type: "InnerProduct" bottom: "conv" top: "fc8" inner_product_param { num_output: 11 } }
layer { name: "prob" type: "Softmax" bottom: "fc8" top: "prob" }
"""
TWO_HEADS = """
layer { name: "data" type: "ImageData" top: "data" top: "label" transform_param { crop_size: 13 }
  image_data_param { source: "x.txt" batch_size: 2 } }
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 11 } }
layer { name: "b" type: "InnerProduct" bottom: "data" top: "b" inner_product_param { num_output: 7 } }
layer { name: "loss_a" type: "SoftmaxWithLoss" bottom: "a" bottom: "label" top: "loss_a" }
layer { name: "loss_b" type: "SoftmaxWithLoss" bottom: "b" bottom: "label" top: "loss_b" }
"""


@pytest.fixture
def kinds(tmp_path: Path) -> Path:
    """The only dataset under data/: six classes of 17x17."""
    return make_dataset("kinds", classes=6)


def layers_of(path: str | Path) -> dict[str, LayerParameter]:
    """Returns a net's layers by name; of layers of one name the last."""
    return {layer.name: layer for layer in read_net(path).net.layer}


def write(path: str, text: str) -> Path:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    return Path(path)


def test_three_classifiers_are_renamed_in_both_stages_and_the_rest_is_kept(
    kinds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = write("mine/googlenet/train_val.prototxt", GOOGLENET_LIKE)
    weights = first_weights(str(mine), "w.caffemodel", "--record", "3x17x17")
    report = finetune(capsys, "--from", str(mine), "--weights", str(weights), "--cpu")
    assert mine.read_text() == GOOGLENET_LIKE
    assert report["renamed"] == {name: f"{name}_kinds" for name in HEADS}
    states = {row["layer"]: row["state"] for row in report["layers"]}
    assert [name for name, state in states.items() if state == "new"] == [f"{name}_kinds" for name in HEADS]
    assert [name for name, state in states.items() if state == "skipped"] == list(HEADS)
    assert sum(state == "copied" for state in states.values()) == 8
    out = Path("models/googlenet")
    assert report["out"] == str(out)
    net = read_net(out / "train_val.prototxt").net
    train, test = net.layer[:2]
    assert train.data_param.source == str(kinds / "train_lmdb")
    assert (train.data_param.batch_size, test.data_param.batch_size) == (7, 3)
    assert (train.transform_param.mirror, test.transform_param.mirror) == (True, False)
    assert (train.transform_param.crop_size, train.transform_param.scale) == (13, 0.5)
    own = list(train.transform_param.mean_value)
    assert len(own) == 3
    assert own != [104, 117, 123]
    assert sum(layer.type == "SoftmaxWithLoss" for layer in net.layer) == 3
    deploy = layers_of(out / "deploy.prototxt")
    assert set(deploy) & {f"{name}_kinds" for name in HEADS} == {"loss3/classifier_kinds"}
    assert deploy["prob"].bottom[:] == ["loss3/classifier_kinds"]
    assert list(deploy["data"].input_param.shape[0].dim) == [1, 3, 13, 13]
    solver = read_solver(out / "solver.prototxt")
    assert (solver.base_lr, list(solver.test_iter)) == (pytest.approx(0.001), [4])


def test_it_trains_as_rendered_nets_do(kinds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = write("googlenet.prototxt", GOOGLENET_LIKE)
    weights = first_weights(str(mine), "w.caffemodel", "--record", "3x17x17")
    words = ["--max-iter", "2", "--freeze", "conv2", "--train", "--cpu"]
    report = finetune(capsys, "--from", str(mine), "--weights", str(weights), *words)
    assert report["training"]["iterations"] == 2
    assert report["frozen"] == ["conv1", "branch_a", "branch_b", "conv2"]


def test_the_pretrained_mean_and_a_v1_net(kinds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = write("old.prototxt", V1_NET)
    words = ["--from", str(mine), "--name", "x", "--cpu"]
    report = finetune(capsys, *words, code=6)
    assert "--weights" in report["problem"]
    transform = layers_of("models/old/train_val.prototxt")["data"].transform_param
    assert transform.mean_file == str(kinds / "mean.binaryproto")
    finetune(capsys, *words, "--mean", "pretrained", "--force", code=6)
    net = read_net("models/old/train_val.prototxt").net
    assert not net.layers
    assert net.layer[0].transform_param.mean_file == str(Path("old/mean.binaryproto").absolute())
    assert (net.layer[0].transform_param.crop_size, net.layer[0].data_param.batch_size) == (11, 5)
    conv = layers_of("models/old/train_val.prototxt")["conv1"]
    assert [(spec.lr_mult, spec.decay_mult) for spec in conv.param] == [(1, 1), (2, 0)]
    assert mine.read_text() == V1_NET


def test_what_is_not_taken_over_is_told(kinds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = GOOGLENET_LIKE.replace("mirror: true", "mirror: true noise_param { prob: 0.5 }", 1)
    report = finetune(capsys, "--from", str(write("mine.prototxt", text)), code=6)
    assert any("noise_param of its transform_param is not taken over" in note for note in report["notes"])


def test_paths_beside_the_prototxt_are_found(kinds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("mine/old/mean.binaryproto", "")
    mine = write("mine/old.prototxt", V1_NET)
    finetune(capsys, "--from", str(mine), "--mean", "pretrained", code=6)
    transform = layers_of("models/old/train_val.prototxt")["data"].transform_param
    assert transform.mean_file == str(Path("mine/old/mean.binaryproto").absolute())


def test_a_deploy_file_gets_data_layers_and_a_loss(kinds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = write("mine/deploy.prototxt", DEPLOY)
    weights = first_weights(str(mine), "w.caffemodel")
    report = finetune(capsys, "--from", str(mine), "--weights", str(weights), "--scale", "0.25", "--cpu")
    assert any("is a deploy file" in note for note in report["notes"])
    assert {row["layer"]: row["state"] for row in report["layers"]} == {
        "conv": "copied", "fc8_kinds": "new", "fc8": "skipped",
    }  # fmt: skip
    net = read_net(Path(report["out"], "train_val.prototxt")).net
    train = net.layer[0]
    assert (train.top[:], train.data_param.source) == (["picture", "label"], str(kinds / "train_lmdb"))
    assert (train.transform_param.crop_size, train.transform_param.scale) == (13, 0.25)
    assert [layer.name for layer in net.layer[2:]] == ["conv", "fc8_kinds", "accuracy", "loss"]
    deploy = read_net(Path(report["out"], "deploy.prototxt")).net
    assert [layer.name for layer in deploy.layer] == ["data", "conv", "fc8_kinds", "prob"]
    assert deploy.layer[0].top[:] == ["picture"]
    assert run(["finetune", "--from", str(mine), "--mean", "pretrained", "--force"]) == 2
    assert "--mean 104,117,123" in capsys.readouterr().err


def test_image_lists_come_as_the_dataset_has_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = make_dataset("listed", classes=3, backend="imagedata")
    mine = write("mine.prototxt", GOOGLENET_LIKE)
    report = finetune(capsys, "--from", str(mine), code=6)
    train = read_net(Path(report["out"], "train_val.prototxt")).net.layer[0]
    assert (train.type, train.image_data_param.source) == ("ImageData", str(listed / "train.txt"))
    assert train.image_data_param.root_folder.startswith(str(listed))
    assert not train.HasField("data_param")
    # three classes leave no top-5
    assert any("'loss3/top-5' is left out" in note for note in report["notes"])


def test_what_is_for_lists_only_is_left_to_the_dataset(
    kinds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = TWO_HEADS.replace("crop_size: 13", "").replace(
        "batch_size: 2", "batch_size: 2 new_height: 17 new_width: 17"
    )
    report = finetune(capsys, "--from", str(write("two.prototxt", text)), "--layer", "b", code=6)
    train = read_net(Path(report["out"], "train_val.prototxt")).net.layer[0]
    assert (train.type, train.data_param.source) == ("Data", str(kinds / "train_lmdb"))
    assert not train.HasField("image_data_param")


def test_without_crop_and_dataset_the_size_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    mine = write("mine.prototxt", GOOGLENET_LIKE.replace("crop_size: 13", ""))
    assert run(["finetune", "--from", str(mine), "--classes", "7"]) == 2
    assert "--input-size" in capsys.readouterr().err
    report = finetune(capsys, "--from", str(mine), "--classes", "7", "--input-size", "13", code=6)
    deploy = layers_of(Path(report["out"], "deploy.prototxt"))
    assert list(deploy["data"].input_param.shape[0].dim) == [1, 3, 13, 13]


def test_two_candidates_are_told_and_chosen(kinds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = write("two.prototxt", TWO_HEADS)
    assert run(["finetune", "--from", str(mine)]) == 4
    error = capsys.readouterr().err
    assert "two.prototxt: 2 layers could be the classifier: 'a' (11 outputs), 'b' (7 outputs)" in error
    assert not Path("models").exists()
    report = finetune(capsys, "--from", str(mine), "--layer", "b", code=6)
    layers = layers_of("models/two/train_val.prototxt")
    assert report["renamed"] == {"b": "b_kinds"}
    assert layers["a"].inner_product_param.num_output == 11
    assert layers["b_kinds"].inner_product_param.num_output == 6


def test_a_rendered_net_is_not_written_over(kinds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "cifar10-quick", "--set", "net.input_size=17", "--cpu"]) == 0
    folder = Path("models/cifar10-quick")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    report = finetune(capsys, "--from", str(folder), "--name", "again", code=6)
    assert report["out"] == "models/cifar10-quick-again"
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    assert run(["finetune", "--from", str(folder), "--out", str(folder), "--force"]) == 2
    assert "never written over" in capsys.readouterr().err


def test_one_way_only_a_rendered_net_and_its_name_give_the_same_layers(
    kinds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", "cifar10-quick", "--set", "net.input_size=17", "--cpu"]) == 0
    by_file = finetune(capsys, "--from", "models/cifar10-quick/train_val.prototxt", code=6)
    by_name = finetune(
        capsys, "--from", "cifar10-quick", "--set", "net.input_size=17", "--out", "named", code=6
    )
    for stage in ("train_val", "deploy"):
        one, other = (read_net(Path(each["out"], f"{stage}.prototxt")).net for each in (by_file, by_name))
        assert one == other


def test_relative_paths_on_request(kinds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = write("mine.prototxt", GOOGLENET_LIKE)
    first_weights(str(mine), "w.caffemodel", "--record", "3x17x17")
    finetune(capsys, "--from", str(mine), "--weights", "w.caffemodel", "--relative")
    solver = read_solver("models/mine/solver.prototxt")
    assert (solver.net, list(solver.weights)) == ("models/mine/train_val.prototxt", ["w.caffemodel"])
    net: NetParameter = read_net(solver.net).net
    assert net.layer[0].data_param.source == "data/kinds/train_lmdb"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("layer { name: 1 }", "mine.prototxt:1"),
        ('layer { name: "c" type: "TanH" bottom: "x" top: "y" }', "no data layer and no Input"),
        ('layer { name: "p" type: "PriorBox" bottom: "x" bottom: "y" top: "z" }', "detects objects"),
    ],
)
def test_prototxts_that_are_no_classifiers_are_refused(
    text: str, words: str, kinds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = write("mine.prototxt", text)
    assert run(["finetune", "--from", str(mine)]) == 4
    assert words in capsys.readouterr().err
    assert not Path("models").exists()


def test_a_missing_file_is_a_net_error(kinds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["finetune", "--from", "gone.prototxt"]) == 4
    assert "gone.prototxt: no such net file" in capsys.readouterr().err
