"""`caffeflow results`: lines from run folders, with the cost of the net and what is published for it."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from caffeflow.cli.main import run
from tests.support.records import random_planes, write_raw_lmdb


def write_run(folder: Path, model: Path, *, started: str, state: str = "finished", **fields: Any) -> Path:
    """Writes a run folder as a training leaves it behind."""
    folder.mkdir(parents=True)
    record = {
        "format": 1, "state": state, "net": "LeNet", "solver_path": str(model / "solver.prototxt"),
        "started": started, "finished": started, "iterations": 300, **fields,
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(record))
    if (model / "train_val.prototxt").exists():
        (folder / "train_val.prototxt").write_text((model / "train_val.prototxt").read_text())
    return folder


def write_test(folder: Path, name: str, *, age_s: int = 0, **fields: Any) -> None:
    path = folder / "tests" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(fields))
    os.utime(path, (1_700_000_000 - age_s,) * 2)


def lines_of(capsys: pytest.CaptureFixture[str], *words: object) -> list[dict[str, Any]]:
    assert run(["results", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A rendered lenet whose test records are there."""
    source = write_raw_lmdb(tmp_path / "val_lmdb", random_planes(3, (1, 28, 28)))
    folder = tmp_path / "models" / "lenet"
    assert run(["render", "lenet", "--out", str(folder), "--set", f"data.test_source={source}"]) == 0
    capsys.readouterr()
    return folder


def test_a_run_with_its_cost_and_its_published_figure(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = {"test accuracy": {"last": 0.75, "best": 0.8}, "test loss": {"last": 1.5}}
    write_run(tmp_path / "runs" / "lenet-001", model, started="2026-01-01T00:00:00+00:00", results=scores)
    (line,) = lines_of(capsys)
    assert line["run"] == "runs/lenet-001"
    assert line["net"] == "lenet"
    assert (line["crop"], line["macs"], line["parameters"]) == ("28x28", 2_293_000, 431_080)
    assert (line["top1"], line["top5"], line["measured"]) == (0.75, None, "train")
    assert line["published_top1"] == 99.0
    assert "MNIST" in line["published_data"]
    assert "BVLC/caffe" in line["published_source"]


@pytest.mark.parametrize(("net", "top1"), [("resnet50", 93.62), ("mobilenet-v1", None)])
def test_a_net_of_a_recipe_has_the_recipe_s_published_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], net: str, top1: float | None
) -> None:
    source = write_raw_lmdb(tmp_path / "val_lmdb", random_planes(3, (3, 32, 32)))
    folder = tmp_path / "models" / net
    words = [
        "render",
        net,
        "--recipe",
        "cifar10",
        "--out",
        str(folder),
        "--set",
        f"data.test_source={source}",
    ]
    assert run(words) == 0
    capsys.readouterr()
    write_run(tmp_path / "runs" / "a", folder, started="2026-01-01T00:00:00+00:00")
    (line,) = lines_of(capsys)
    assert line["published_top1"] == top1
    assert line["net"].startswith(net)


def test_a_test_on_the_own_data_wins_over_the_training_and_the_newest_over_older_ones(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = {"test accuracy": {"last": 0.75}}
    folder = write_run(tmp_path / "runs" / "a", model, started="2026-01-01T00:00:00+00:00", results=scores)
    own = str(tmp_path / "val_lmdb")
    write_test(folder, "old", age_s=50, source=own, top1=0.5, top5=0.9)
    write_test(folder, "new", age_s=20, source=own, top1=0.6, top5=0.95)
    write_test(folder, "foreign", age_s=10, source="data/other/train_lmdb", top1=1.0, top5=1.0)
    (line,) = lines_of(capsys)
    assert (line["top1"], line["top5"], line["measured"]) == (0.6, 0.95, "test")


def test_runs_come_in_the_order_of_their_beginning_from_wherever_they_lie(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late = write_run(tmp_path / "runs" / "a", model, started="2026-01-03T00:00:00+00:00")
    early = write_run(tmp_path / "runs" / "b", model, started="2026-01-02T00:00:00+00:00", state="failed")
    elsewhere = write_run(tmp_path / "mine", model, started="2026-01-01T00:00:00+00:00")
    assert [line["run"] for line in lines_of(capsys)] == ["runs/b", "runs/a"]
    asked = lines_of(capsys, tmp_path / "runs", late, elsewhere)
    assert [line["run"] for line in asked] == [str(elsewhere), str(early), str(late)]
    assert [line["state"] for line in asked] == ["finished", "failed", "finished"]


def test_what_is_gone_or_unknown_leaves_a_gap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "runs" / "bare", tmp_path / "gone", started="2026-01-01T00:00:00+00:00")
    (line,) = lines_of(capsys)
    assert (line["net"], line["macs"], line["top1"], line["measured"]) == ("LeNet", None, None, "")
    model = tmp_path / "models" / "lenet"
    assert run(["render", "lenet", "--out", str(model)]) == 0
    capsys.readouterr()
    write_run(tmp_path / "runs" / "no-data", model, started="2026-01-02T00:00:00+00:00")
    assert lines_of(capsys)[1]["macs"] is None  # its records are not there, so its input is not known


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"rendered = 3", b'[rendered]\nnet = "lenet"', b"[rendered"]
)
def test_a_damaged_record_of_the_variables_leaves_a_gap(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (model / "lenet.variables.toml").write_bytes(content)
    write_run(tmp_path / "runs" / "a", model, started="2026-01-01T00:00:00+00:00")
    (line,) = lines_of(capsys)
    assert (line["net"], line["published_top1"]) == ("LeNet", None)


def test_table_and_csv(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = {"test accuracy": {"last": 0.75}}
    write_run(tmp_path / "runs" / "a", model, started="2026-01-01T00:00:00+00:00", results=scores)
    write_run(tmp_path / "runs" / "b", model, started="2026-01-02T00:00:00+00:00", state="stopped")
    assert run(["results"]) == 0
    said = capsys.readouterr().out
    assert "75.00" in said
    assert "runs/b (stopped)" in said
    assert run(["results", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["run"], row["top1"]) for row in rows] == [("runs/a", "0.75"), ("runs/b", "")]
    assert run(["results", "--csv", "--json"]) == 2


def test_no_run_is_an_error_that_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["results"]) == 5
    assert "no run in runs; make one with: caffeflow train" in capsys.readouterr().err
    assert run(["results", str(tmp_path)]) == 5
