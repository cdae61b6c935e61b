"""`caffeflow finetune` on nets of the catalogue: what is written, copied, refused, and that it trains."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from caffeflow.cli.main import run
from caffeflow.proto.binary import LayerArrays, read_caffemodel, write_caffemodel
from caffeflow.proto.text import read_net, read_solver
from caffeflow.weights.formats import write_weights
from tests.support.finetune_project import finetune, first_weights, make_dataset

FILES = ["deploy.prototxt", "snapshots", "solver.prototxt", "test.sh", "train.sh", "train_val.prototxt"]


@pytest.fixture
def kinds(tmp_path: Path) -> Path:
    """The only dataset under data/: three classes of 32x32."""
    return make_dataset("kinds", classes=3, side=32)


@pytest.fixture
def quick(tmp_path: Path) -> Path:
    """Weights of cifar10-quick with ten classes."""
    return first_weights("cifar10-quick", "quick.caffemodel")


def blobs(layer: LayerArrays) -> list[bytes]:
    return [array.tobytes() for array in layer.arrays]


def test_bare_it_renders_the_tutorials_solver_and_says_which_file_to_put_where(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["finetune", "--from", "vgg16", "--classes", "57", "--cpu"]) == 6
    printed = capsys.readouterr()
    folder = tmp_path / "models" / "vgg16"
    assert sorted(path.name for path in folder.iterdir()) == [*FILES, "vgg16.variables.toml"]
    for words in ("VGG_ILSVRC_16_layers.caffemodel", "sha1 9363e1f6", "http", "put it into"):
        assert words in printed.err
    assert "next:" not in printed.out
    solver = read_solver(folder / "solver.prototxt")
    said = (solver.base_lr, solver.lr_policy, solver.stepsize, solver.gamma, solver.max_iter, solver.momentum,
            solver.weight_decay, solver.display, solver.snapshot, solver.test_interval, solver.iter_size)  # fmt: skip
    expected = (0.001, "step", 10000, 0.1, 50000, 0.9, 0.0005, 20, 5000, 1000, 1)
    assert said == pytest.approx(expected)
    assert solver.weights[0].endswith("VGG_ILSVRC_16_layers.caffemodel")
    train = (folder / "train_val.prototxt").read_text()
    assert train.startswith("# VGG16")
    assert ": caffeflow finetune --from vgg16 --classes 57 --cpu\n" in train
    assert train.count("# not there yet; 'caffeflow prepare folder IMAGES --name new") == 2
    for name in ("train_val", "deploy"):
        net = read_net(folder / f"{name}.prototxt").net
        (layer,) = (each for each in net.layer if each.name == "fc8_new")
        assert (layer.top[:], layer.inner_product_param.num_output) == (["fc8_new"], 57)
        readers = [each.name for each in net.layer if "fc8_new" in each.bottom]
        assert readers == (["prob"] if name == "deploy" else ["accuracy", "accuracy_top5", "loss"])
        assert not any("fc8" in (*each.bottom, *each.top, each.name) for each in net.layer)


def test_data_decide_classes_sources_name_and_test_iter(
    kinds: Path, quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = finetune(capsys, "--from", "cifar10-quick", "--weights", str(quick))
    assert report["renamed"] == {"ip2": "ip2_kinds"}
    assert {row["layer"]: row["state"] for row in report["layers"]} == {
        "conv1": "copied", "conv2": "copied", "conv3": "copied", "ip1": "copied", "ip2_kinds": "new",
        "ip2": "skipped",
    }  # fmt: skip
    folder = Path(report["out"])
    train, test = read_net(folder / "train_val.prototxt").net.layer[:2]
    assert train.data_param.source == str(kinds / "train_lmdb")
    assert train.transform_param.mean_file == str(kinds / "mean.binaryproto")
    assert (test.data_param.source, test.data_param.batch_size) == (str(kinds / "val_lmdb"), 6)
    solver = read_solver(folder / "solver.prototxt")
    assert (list(solver.test_iter), list(solver.weights)) == ([1], [str(quick.resolve())])
    recorded = tomllib.loads((folder / "cifar10-quick.variables.toml").read_text())
    assert recorded["finetune"]["renamed"] == {"ip2": "ip2_kinds"}
    deploy = read_net(folder / "deploy.prototxt").net
    assert [layer.top[0] for layer in deploy.layer][-2:] == ["ip2_kinds", "prob"]


def test_a_bare_training_begins_with_the_weights_and_every_other_layer(
    kinds: Path, quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--max-iter", "2", "--base-lr", "0", "--batch-size", "3", "--cpu"]
    finetune(capsys, "--from", "cifar10-quick", "--weights", str(quick), *words)
    assert run(["train"]) == 0
    assert "copied 4 layers; new, from their fillers: ip2_kinds" in capsys.readouterr().err
    before = {layer.name: layer for layer in read_caffemodel(quick)}
    after = {
        layer.name: layer for layer in read_caffemodel(next(Path("models").rglob("*_iter_2.caffemodel")))
    }
    for name in ("conv1", "conv2", "conv3", "ip1"):
        assert blobs(after[name]) == blobs(before[name])
    assert after["ip2_kinds"].arrays[0].shape == (3, 64)
    assert np.std(after["ip2_kinds"].arrays[0]) == pytest.approx(0.01, rel=0.3)


def test_train_goes_straight_on(kinds: Path, quick: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--max-iter", "1", "--batch-size", "3", "--cpu", "--train", "--name", "x"]
    report = finetune(capsys, "--from", "cifar10-quick", "--weights", str(quick), *words)
    assert report["training"]["iterations"] == 1
    assert Path(report["training"]["run"], "metrics.csv").is_file()


def test_weights_of_another_net_are_a_table_and_one_line(
    kinds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lenet = first_weights("lenet", "lenet.caffemodel")
    assert run(["finetune", "--from", "vgg16", "--weights", str(lenet), "--input-size", "32"]) == 6
    printed = capsys.readouterr()
    assert "mismatched" not in printed.out
    assert "skipped" in printed.out
    assert "weights of another net" in printed.err.splitlines()[-1]


def test_a_layer_of_other_shape_is_named_and_nothing_trains(
    kinds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # the same names, for other numbers of pixels
    lenet = first_weights("lenet", "lenet.caffemodel")
    report = finetune(capsys, "--from", "cifar10-quick", "--weights", str(lenet), "--train", code=6)
    assert {row["layer"] for row in report["layers"] if row["state"] == "mismatched"} == {
        "conv1",
        "conv2",
        "ip1",
    }
    assert "layer 'conv1'" in report["problem"]
    assert "rename the layer" in report["problem"]
    assert "training" not in report
    assert not Path("runs").exists()


def test_nan_in_a_layer_that_would_be_copied_is_named(
    kinds: Path, quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = read_caffemodel(quick)
    for layer in layers:
        if layer.name in ("conv2", "ip2"):  # ip2 is not taken, so it does not matter
            layer.arrays[0].flat[5] = np.nan
    write_caffemodel("bad.caffemodel", name="bad", layers=layers)
    report = finetune(capsys, "--from", "cifar10-quick", "--weights", "bad.caffemodel", code=6)
    assert "nan or infinite values in 'conv2';" in report["problem"]


def test_weights_of_other_formats_become_a_caffemodel_that_both_engines_read(
    kinds: Path, quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_weights("quick.npz", name="quick", layers=read_caffemodel(quick))
    report = finetune(capsys, "--from", "cifar10-quick", "--weights", "quick.npz")
    made = Path(report["out"], "start.caffemodel").resolve()
    assert (report["weights"], str(made.relative_to(Path.cwd())) in report["files"]) == (str(made), True)
    assert [blobs(layer) for layer in read_caffemodel(made)] == [
        blobs(layer) for layer in read_caffemodel(quick)
    ]


def test_a_file_that_is_no_weights_is_told_after_all_is_written(
    kinds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("w.caffemodel").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    report = finetune(capsys, "--from", "cifar10-quick", "--weights", "w.caffemodel", code=6)
    assert "w.caffemodel: is a git-lfs pointer" in report["problem"]
    assert Path(report["solver"]).is_file()


def test_a_folder_of_the_nets_name_is_not_in_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    Path("lenet").mkdir()
    report = finetune(capsys, "--from", "lenet", "--classes", "5", code=6)
    assert report["renamed"] == {"ip2": "ip2_new"}
    assert "of lenet no published weights are known; name a file with --weights" in report["problem"]


def test_freeze_writes_the_multipliers_and_statistics_on_request(
    kinds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = first_weights("resnet50", "resnet.caffemodel")
    words = ["--from", "resnet50", "--weights", str(weights), "--freeze", "res2a", "--lr-new", "5"]
    report = finetune(capsys, *words)
    assert any("frozen BatchNorm layers still" in note for note in report["notes"])
    layers = {layer.name: layer for layer in read_net(Path(report["out"], "train_val.prototxt")).net.layer}
    frozen = {"conv1", "res2a_branch1", "res2a_branch2c", "bn_conv1", "scale_conv1"}
    assert frozen <= set(report["frozen"])
    assert all(spec.lr_mult == 0 for name in report["frozen"] for spec in layers[name].param)
    assert len(layers["bn_conv1"].param) == 3
    assert "res2b_branch2a" not in report["frozen"]
    assert [spec.lr_mult for spec in layers["fc1000_kinds"].param] == [5, 10]
    assert not layers["bn_conv1"].batch_norm_param.use_global_stats
    again = finetune(capsys, *words, "--freeze-statistics", "--force")
    layers = {layer.name: layer for layer in read_net(Path(again["out"], "train_val.prototxt")).net.layer}
    assert layers["bn_conv1"].batch_norm_param.use_global_stats
    assert not layers["bn2b_branch2a"].batch_norm_param.use_global_stats
    assert not any("BatchNorm" in note for note in again["notes"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("--from vgg16", 2, "give --classes N, or --data DATASET"),
        ("--from vgg61 --classes 5", 3, "did you mean 'vgg16'"),
        ("--from ssd300-voc --classes 5", 2, "detects objects"),
        ("--from lenet --classes 5 --name bad/name", 2, "letters, digits"),
        ("--from lenet --classes 5 --layer ip3", 4, "did you mean 'ip"),
        ("--from lenet --classes 5 --freeze ip2", 2, "would freeze the new layer 'ip2'"),
        ("--from lenet --classes 5 --freeze-statistics", 2, "--freeze LAYER"),
        ("--from models/lenet --classes 5", 4, "no such net file"),
        ("--from lenet --classes 5 --set net.classes=5", 2, "with --classes"),
        ("--from lenet --classes 5 --set net.clases=5", 3, "no variable 'net.clases'"),
        ("--from lenet --classes 5 --engine torch", 2, "--train too"),
    ],
)
def test_refusals_are_one_line_and_write_nothing(
    words: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["finetune", *words.split()]) == code
    error = capsys.readouterr().err.strip()
    assert said in error
    assert len(error.splitlines()) == 1
    assert not Path("models").exists()


def test_classes_other_than_the_datasets_are_refused(
    kinds: Path, quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert run(["finetune", "--from", "cifar10-quick", "--classes", "4"]) == 2
    assert "--classes 4, but dataset 'kinds'" in capsys.readouterr().err
    report = finetune(capsys, "--from", "cifar10-quick", "--weights", str(quick), "--classes", "3")
    assert report["renamed"] == {"ip2": "ip2_kinds"}


def test_files_are_replaced_with_force_only(
    kinds: Path, quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--from", "cifar10-quick", "--weights", str(quick)]
    finetune(capsys, *words)
    assert run(["finetune", *words]) == 2
    assert "--force" in capsys.readouterr().err
    finetune(capsys, *words, "--force")


def test_the_mean_of_pretraining_on_request(
    kinds: Path, quick: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = finetune(capsys, "--from", "cifar10-quick", "--weights", str(quick), "--mean", "pretrained")
    transform = read_net(Path(report["out"], "train_val.prototxt")).net.layer[0].transform_param
    assert list(transform.mean_value) == pytest.approx([113.865, 122.95, 125.307])
    assert not transform.mean_file


def test_variables_of_the_net_can_be_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--classes", "7", "--set", "net.width=0.5", "--set", "data.mirror=false"]
    assert run(["finetune", "--from", "mobilenet-v1", *words]) == 6
    net = read_net(tmp_path / "models" / "mobilenet-v1" / "train_val.prototxt").net
    assert not net.layer[0].transform_param.mirror
    (conv1,) = (layer for layer in net.layer if layer.name == "conv1")
    assert conv1.convolution_param.num_output == 16
    (last,) = (layer for layer in net.layer if layer.name == "fc7_new")
    assert (last.convolution_param.num_output, last.top[:]) == (7, ["fc7_new"])
