"""`caffeflow render` as typed: files, notes, errors and their exit codes, and the scripts it writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from caffeflow.cli.main import run
from caffeflow.data.manifest import Manifest, Mean, Split, write_manifest
from caffeflow.proto.caffe_pb2 import NetParameter, SolverParameter
from caffeflow.proto.text import parse, read_net, read_solver

FILES = ["deploy.prototxt", "lenet.variables.toml", "snapshots", "solver.prototxt", "test.sh", "train.sh",
         "train_val.prototxt"]  # fmt: skip


def make_dataset(folder: Path, **facts: Any) -> Path:
    """Writes the manifest of a dataset; rendering looks at nothing else."""
    folder.mkdir(parents=True)
    is_list = facts.get("backend") == "imagedata"

    def split(name: str, count: int) -> Split:
        path, root = (f"{name}.txt", name) if is_list else (f"{name}_lmdb", None)
        return Split(path=path, root=root, count=count, rejected={}, unusual={}, labels={0: count}, digest="")

    usual = {
        "name": folder.name, "source": "folder", "backend": "lmdb", "encode": "png", "channels": 1,
        "height": 28, "width": 28, "classes": 10, "class_names": (), "settings": {},
        "splits": {"train": split("train", 1437), "val": split("val", 360)},
        "mean": Mean(path="mean.binaryproto", channels=(33.5,)),
    }  # fmt: skip
    write_manifest(folder, Manifest(**(usual | facts)))
    return folder


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """The only dataset under data/."""
    return make_dataset(tmp_path / "data" / "digits")


@pytest.fixture
def refuses(capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Runs a command that must fail with a code and words, on one line, and write nothing."""

    def check(arguments: str, code: int, *words: str) -> None:
        assert run(["render", *arguments.split()]) == code
        error = capsys.readouterr().err
        assert len(error.strip().splitlines()) == 1, error
        for word in words:
            assert word in error
        assert not Path("models").exists()

    return check


def test_the_bare_command_takes_the_only_dataset(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", "lenet", "--max-iter", "500", "--cpu"]) == 0
    out = capsys.readouterr()
    folder = tmp_path / "models" / "lenet"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert "lenet: input 1x28x28, 10 classes, 0.431 M parameters, 0.00229 G multiply-accumulates" in out.out
    assert "next: caffeflow train --solver models/lenet/solver.prototxt" in out.out
    assert out.err == ""
    train, test = read_net(folder / "train_val.prototxt").net.layer[:2]
    assert train.data_param.source == str(digits / "train_lmdb")
    assert (test.data_param.source, test.data_param.batch_size) == (str(digits / "val_lmdb"), 90)
    solver = read_solver(folder / "solver.prototxt")
    assert (solver.net, list(solver.test_iter)) == (str(folder / "train_val.prototxt"), [4])
    assert solver.snapshot_prefix == str(folder / "snapshots" / "lenet")
    assert (solver.max_iter, solver.solver_mode) == (500, SolverParameter.CPU)


def test_the_variables_are_written_beside_with_their_origins(digits: Path, tmp_path: Path) -> None:
    assert run(["render", "lenet", "--base-lr", "0.02", "--set", "data.mirror=true"]) == 0
    path = tmp_path / "models" / "lenet" / "lenet.variables.toml"
    values = tomllib.loads(path.read_text())
    assert values["rendered"] == {"net": "lenet", "variant": ""}
    assert (values["solver"]["base_lr"], values["data"]["mirror"]) == (0.02, True)
    assert "base_lr = 0.02  # given" in path.read_text()
    assert "classes = 10  # dataset digits" in path.read_text()


def test_files_say_what_they_are_and_how_they_were_made(digits: Path, tmp_path: Path) -> None:
    assert run(["render", "lenet", "--cpu", "--set", "iter_size=2", "--out", "a b", "--force"]) == 0
    heads = {
        path.name: [line for line in path.read_text().splitlines()[:8] if line.startswith("#")]
        for path in (tmp_path / "a b").glob("*.prototxt")
    }
    assert len(heads) == 3
    command = "caffeflow render lenet --cpu --set iter_size=2 --out 'a b'"
    assert all(lines[1].endswith(f": {command}") for lines in heads.values())
    solver = "\n".join(heads["solver.prototxt"])
    assert "Recipe: BVLC/caffe:examples/mnist/lenet_solver.prototxt" in solver
    assert "Expected: 99 % top-1 on MNIST test" in solver


def test_without_a_dataset_sources_are_named_and_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", "caffenet"]) == 0
    assert "no dataset is given" in capsys.readouterr().err
    text = (tmp_path / "models" / "caffenet" / "train_val.prototxt").read_text()
    source = tmp_path / "data" / "imagenet" / "train_lmdb"
    assert f"source: \"{source}\"  # not there yet; 'caffeflow prepare imagenet' makes it" in text


def test_sources_can_be_given_without_a_dataset(tmp_path: Path) -> None:
    words = ["--set", "data.train_source=/d/t", "--set", "data.test_source=/d/v", "--mean", "none"]
    assert run(["render", "caffenet", *words]) == 0
    layers = read_net(tmp_path / "models" / "caffenet" / "train_val.prototxt").net.layer
    assert [layer.data_param.source for layer in layers[:2]] == ["/d/t", "/d/v"]


def test_relative_paths_count_from_the_working_folder(digits: Path, tmp_path: Path) -> None:
    assert run(["render", "lenet", "--relative", "--out", "out/net"]) == 0
    net = read_net(tmp_path / "out" / "net" / "train_val.prototxt").net
    assert net.layer[0].data_param.source == "data/digits/train_lmdb"
    assert read_solver(tmp_path / "out" / "net" / "solver.prototxt").net == "out/net/train_val.prototxt"


def test_image_lists_come_with_their_roots(tmp_path: Path) -> None:
    make_dataset(
        tmp_path / "data" / "pets", backend="imagedata", channels=None, height=None, width=None, mean=None
    )
    assert run(["render", "mobilenet-v2"]) == 0
    layer = read_net(tmp_path / "models" / "mobilenet-v2" / "train_val.prototxt").net.layer[0]
    param = layer.image_data_param
    assert layer.type == "ImageData"
    assert param.source == str(tmp_path / "data" / "pets" / "train.txt")
    assert param.root_folder == str(tmp_path / "data" / "pets" / "train") + "/"
    assert (param.shuffle, param.new_height, param.new_width) == (True, 256, 256)
    assert layer.transform_param.crop_size == 224


def test_a_dry_run_prints_and_writes_nothing(digits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "lenet", "--dry-run"]) == 0
    assert 'name: "LeNet"' in capsys.readouterr().out
    assert run(["render", "lenet", "--dry-run", "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert parse(files["deploy.prototxt"], NetParameter(), source="x").layer[0].type == "Input"
    assert not Path("models").exists()


def test_nothing_is_replaced_without_force(
    digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", "lenet"]) == 0
    kept = tmp_path / "models" / "lenet" / "snapshots" / "lenet_iter_1.caffemodel"
    kept.write_bytes(b"weights")
    assert run(["render", "lenet", "--classes", "12"]) == 2
    assert "give --force to replace them" in capsys.readouterr().err
    assert run(["render", "lenet", "--classes", "12", "--force"]) == 0
    assert "num_output: 12" in (tmp_path / "models" / "lenet" / "deploy.prototxt").read_text()
    assert kept.read_bytes() == b"weights"


def test_the_nets_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["render"]) == 0
    listed = capsys.readouterr().out
    assert run(["render", "--list", "--json"]) == 0
    nets = json.loads(capsys.readouterr().out)
    assert len(nets) == 16
    assert all(net["name"] in listed for net in nets)


def test_show_prints_every_variable_with_all_there_is_to_know(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "mobilenet-v2", "--show", "--width", "0.5", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["net.width"] == {
        "name": "net.width", "value": 0.5, "type": "float", "default": 1.0, "option": "--width", "source": "given",
        "allowed": [0.35, 0.5, 0.75, 1.0, 1.3, 1.4],
        "help": "Factor on the number of channels, which stay multiples of 8.",
    }  # fmt: skip
    assert run(["render", "mobilenet-v2", "--show"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in rows)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("lenett", 3, ["no net 'lenett'", "did you mean 'lenet'"]),
        ("lenet --set net.clases=3", 3, ["no variable 'net.clases'", "did you mean 'net.classes'"]),
        ("lenet --classes 0", 3, ["net.classes: 0 is too small"]),
        ("lenet --classes many", 3, ["net.classes: 'many' is not a whole number"]),
        ("lenet --classes 9", 3, ["net.classes is 9", "10 classes"]),
        ("lenet --input-size 29", 3, ["29x29", "28x28"]),
        ("lenet --width 0.5", 3, ["net 'lenet' has no variable 'net.width'"]),
        ("lenet --backend imagedata", 3, ["backend lmdb"]),
        ("lenet --set base_lr", 2, ["expected NAME=VALUE"]),
        ("lenet --classes 11 --set net.classes=12", 2, ["given twice"]),
        ("lenet --data nowhere", 5, ["nowhere: no such dataset folder"]),
        ("caffenet", 4, ["layer 'pool2'", "rendered for an input of 28x28; nothing is written"]),
        ("resnet50 --variant tochvision", 3, ["did you mean 'torchvision'"]),
    ],
)
def test_what_cannot_be_is_one_line_and_writes_nothing(
    digits: Path, refuses: Callable[..., None], arguments: str, code: int, words: list[str]
) -> None:
    refuses(arguments, code, *words)


def test_of_several_datasets_one_must_be_chosen(
    digits: Path, tmp_path: Path, refuses: Callable[..., None]
) -> None:
    make_dataset(tmp_path / "data" / "pets")
    refuses("lenet", 2, "there are 2 datasets: data/digits, data/pets; choose one with --data")


def test_a_dataset_without_test_images_is_refused(tmp_path: Path, refuses: Callable[..., None]) -> None:
    split = Split(path="train_lmdb", root=None, count=5, rejected={}, unusual={}, labels={0: 5}, digest="")
    make_dataset(tmp_path / "data" / "pets", splits={"train": split})
    refuses("lenet", 5, "no images in split 'val'", "--val-fraction")


def fake_caffe(folder: Path) -> Path:
    """A program that prints where it runs and what it was given, a word a line."""
    path = folder / "fake-caffe"
    path.write_text('#!/bin/sh\npwd\nprintf "%s\\n" "$@"\n')
    path.chmod(0o755)
    return path


def run_script(path: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(path), *words], env=os.environ | env, cwd="/", capture_output=True, text=True, check=False
    )


def test_train_sh_calls_caffe_with_the_solver(digits: Path, tmp_path: Path) -> None:
    out = tmp_path / "a folder with $signs"
    assert run(["render", "lenet", "--out", str(out)]) == 0
    done = run_script(out / "train.sh", "--gpu", "0", CAFFE=str(fake_caffe(tmp_path)))
    assert done.stdout.splitlines() == ["/", "train", f"--solver={out}/solver.prototxt", "--gpu", "0"]


def test_relative_scripts_start_in_the_working_folder(digits: Path, tmp_path: Path) -> None:
    assert run(["render", "lenet", "--relative"]) == 0
    done = run_script(tmp_path / "models" / "lenet" / "train.sh", CAFFE=str(fake_caffe(tmp_path)))
    assert done.stdout.splitlines() == [str(tmp_path), "train", "--solver=models/lenet/solver.prototxt"]


def test_test_sh_takes_the_newest_snapshot_and_sees_each_image_once(digits: Path, tmp_path: Path) -> None:
    assert run(["render", "lenet", "--cpu"]) == 0
    folder, caffe = tmp_path / "models" / "lenet", str(fake_caffe(tmp_path))
    missing = run_script(folder / "test.sh", CAFFE=caffe)
    assert missing.returncode == 1
    assert "no weights" in missing.stderr
    for age, name in ((20, "lenet_iter_10.caffemodel"), (10, "lenet_iter_5.caffemodel.h5")):
        weights = folder / "snapshots" / name
        weights.write_bytes(b"")
        os.utime(weights, (1e9 - age, 1e9 - age))
    expected = ["/", "test", f"--model={folder}/train_val.prototxt"]
    newest = f"--weights={folder}/snapshots/lenet_iter_5.caffemodel.h5"
    assert run_script(folder / "test.sh", CAFFE=caffe).stdout.splitlines() == [
        *expected,
        newest,
        "--iterations=4",
    ]
    given = run_script(folder / "test.sh", "w.caffemodel", "--gpu=1", CAFFE=caffe).stdout.splitlines()
    assert given == [*expected, "--weights=w.caffemodel", "--iterations=4", "--gpu=1"]


def test_test_sh_uses_the_gpu_if_the_solver_does(digits: Path, tmp_path: Path) -> None:
    assert run(["render", "lenet", "--gpu"]) == 0
    script, caffe = tmp_path / "models" / "lenet" / "test.sh", str(fake_caffe(tmp_path))
    assert run_script(script, "w", CAFFE=caffe).stdout.splitlines()[-1] == "--gpu=0"
    assert run_script(script, "w", CAFFE=caffe, GPU="2").stdout.splitlines()[-1] == "--gpu=2"


def test_rendering_loads_nothing_heavy() -> None:
    code = (
        "import sys; from caffeflow.cli.main import run; assert run(['render', 'resnet50', '--json']) == 0;"
        "sys.exit(' '.join({'torch', 'numpy', 'cv2', 'lmdb', 'matplotlib'} & set(sys.modules)) or 0)"
    )
    package = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(package)}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
