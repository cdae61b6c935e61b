"""`caffeflow render` of detection nets as typed: from a dataset folder to files, report, notes and scripts."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from caffeflow.cli.main import run
from caffeflow.data.manifest import Manifest, Split, write_manifest
from caffeflow.proto.labelmap import format_label_map, label_map_of, read_label_map
from caffeflow.proto.text import read_net, read_solver

NAMES = ("car", "pedestrian", "cyclist")
FILES = [
    "deploy.prototxt", "labelmap.prototxt", "snapshots", "solver_test.prototxt", "solver_train.prototxt",
    "ssdlite-voc.variables.toml", "test.prototxt", "test.sh", "train.prototxt", "train.sh",
]  # fmt: skip


def make_dataset(folder: Path, **facts: Any) -> Path:
    """Writes the manifest and the label map of a detection dataset; rendering looks at nothing else."""
    folder.mkdir(parents=True)

    def split(name: str, count: int) -> Split:
        name_size = "test_name_size.txt" if name == "val" else None
        return Split(path=f"{name}_lmdb", root=None, count=count, rejected={}, unusual={}, labels={1: count},
                     digest="", boxes=count, name_size=name_size)  # fmt: skip

    usual = {
        "name": folder.name, "source": "kitti", "backend": "lmdb", "encode": "jpg", "channels": 3,
        "height": None, "width": None, "classes": 4, "class_names": ("background", *NAMES), "settings": {},
        "splits": {"train": split("train", 700), "val": split("val", 75)}, "mean": None,
        "task": "detection", "label_map": "labelmap.prototxt",
    }  # fmt: skip
    write_manifest(folder, Manifest(**(usual | facts)))
    (folder / "labelmap.prototxt").write_text(format_label_map(label_map_of(NAMES)))
    return folder


@pytest.fixture
def streets(tmp_path: Path) -> Path:
    """The only dataset under data/."""
    return make_dataset(tmp_path / "data" / "streets")


def test_a_net_is_rendered_for_the_only_dataset(
    streets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", "ssdlite-voc", "--input-size", "300x600"]) == 0
    said = capsys.readouterr()
    folder = tmp_path / "models" / "ssdlite-voc"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert "input 3x300x600, 3 classes and background" in said.out
    assert (
        "new layers, for which deploy_voc.caffemodel has no weights: conv_13/expand_mbox_conf_streets, "
        in said.out
    )
    assert "next: caffeflow train --solver models/ssdlite-voc/solver_train.prototxt" in said.out
    assert read_label_map(folder / "labelmap.prototxt") == read_label_map(streets / "labelmap.prototxt")

    train, test = (read_net(folder / f"{stage}.prototxt").net.layer[0] for stage in ("train", "test"))
    assert train.data_param.source == str(streets / "train_lmdb")
    assert test.data_param.source == str(streets / "val_lmdb")
    assert train.annotated_data_param.label_map_file == str(folder / "labelmap.prototxt")
    solver = read_solver(folder / "solver_train.prototxt")
    assert (solver.test_iter[0] * test.data_param.batch_size) == 75


def test_the_report_as_json_names_the_new_layers(streets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["render", "ssdlite-coco", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["new_layers"]) == 6
    assert all(name.endswith("_mbox_conf_streets") for name in report["new_layers"])
    assert report["variables"]["net.classes"] == 3


def test_all_options_reach_their_variables(streets: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (
        "ssdlite-voc --classes 5 --activation clip --conv-engine caffe --padding caffe --bn --conf-loss softmax"
        " --width 0.5 --min-ratio 10 --max-ratio 80 --batch-size 4 --accum 6 --augment none --mean 104,117,123"
        " --scale 1 --base-lr 0.5 --set solver.ap_version=MaxIntegral --json"
    )
    assert run(["render", *words.split()]) == 0
    values = json.loads(capsys.readouterr().out)["variables"]
    expected = {
        "net.classes": 5, "net.activation": "clip", "net.conv_engine": "caffe", "net.padding": "caffe",
        "net.bn": True, "net.conf_loss": "softmax", "net.width": 0.5, "net.min_ratio": 10, "net.max_ratio": 80,
        "data.batch_size": 4, "solver.iter_size": 6, "data.augment": "none", "data.mean": [104, 117, 123],
        "data.scale": 1, "solver.base_lr": 0.5, "solver.ap_version": "MaxIntegral", "solver.type": "SGD",
        "net.conf_suffix": "_streets",
    }  # fmt: skip
    assert {name: values[name] for name in expected} == expected
    assert run(["render", "ssdlite-voc", "--no-bn", "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["variables"]["net.bn"] is False


def test_without_any_dataset_the_published_net_is_rendered_and_its_sources_are_marked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["render", "ssdlite-coco"]) == 0
    said = capsys.readouterr()
    assert "caffeflow prepare coco --coco-ids 91" in said.err
    assert "90 classes and background" in said.out
    assert "new layers" not in said.out
    text = (tmp_path / "models" / "ssdlite-coco" / "train.prototxt").read_text()
    assert "data/coco/train_lmdb\"  # not there yet; 'caffeflow prepare coco --coco-ids 91' makes it" in text
    assert "num_classes: 91" in text


def test_of_several_datasets_the_one_with_boxes_is_taken(streets: Path, tmp_path: Path) -> None:
    other = {"task": "classification", "label_map": None, "classes": 10, "class_names": ()}
    make_dataset(tmp_path / "data" / "digits", **other)
    assert run(["render", "ssd-small"]) == 0
    assert run(["render", "cifar10-quick", "--input-size", "32", "--mean", "none"]) == 0
    text = (tmp_path / "models" / "cifar10-quick" / "train_val.prototxt").read_text()
    assert "data/digits/train_lmdb" in text


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("lenet", 3, "lenet classifies images, but dataset 'streets' has boxes"),
        ("ssdlite-voc --classes 2", 3, "labels of dataset 'streets' go up to 3; give --classes 3"),
        ("ssd-small --padding tf", 3, "net 'ssd-small' has no variable 'net.padding'"),
        ("ssdlite-voc --mean none", 3, "data.mean: 'none' is not a list of numbers"),
        ("ssdlite-voc --min-ratio 96", 3, "expected min_ratio < max_ratio"),
    ],
)
def test_what_cannot_be_is_one_line_and_writes_nothing(
    streets: Path, capsys: pytest.CaptureFixture[str], words: str, code: int, said: str
) -> None:
    assert run(["render", *words.split()]) == code
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not Path("models").exists()


def test_the_scripts_train_and_test_with_the_solver_of_each(streets: Path, tmp_path: Path) -> None:
    fake = tmp_path / "fake-caffe"
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    fake.chmod(0o755)
    assert run(["render", "ssdlite-voc", "--cpu", "--relative"]) == 0

    def given(script: str, *words: str) -> list[str]:
        path = tmp_path / "models" / "ssdlite-voc" / script
        done = subprocess.run(
            [str(path), *words], env=os.environ | {"CAFFE": str(fake)}, cwd="/", capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        return done.stdout.splitlines()

    folder = "models/ssdlite-voc"
    assert given("train.sh", "--weights", "w") == [
        "train", f"--solver={folder}/solver_train.prototxt", "--weights", "w",
    ]  # fmt: skip
    assert given("test.sh", "w.caffemodel") == [
        "train", f"--solver={folder}/solver_test.prototxt", "--weights=w.caffemodel",
    ]  # fmt: skip
