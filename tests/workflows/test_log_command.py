from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import pytest

from caffeflow.cli.main import run
from tests.support.caffe_logs import FakeLog


def write_log(path: Path, *, displays: int = 3) -> Path:
    log = FakeLog().start()
    for place in range(displays):
        log.wait(1).test(place * 10, [("accuracy", f"0.{place}")])
        log.display(place * 10, loss=f"{3 - place}.5", outputs=[("loss", f"{3 - place}.25")])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(log.text())
    return path


def test_parse_writes_the_two_tables_beside_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = write_log(tmp_path / "caffe.log")
    assert run(["log", "parse", str(log)]) == 0
    assert capsys.readouterr().out.split() == [f"{log}.train", f"{log}.test"]
    with Path(f"{log}.train").open() as table:
        rows = list(csv.DictReader(table))
    assert [row["NumIters"] for row in rows] == ["0", "10", "20"]
    assert [row["SmoothedLoss"] for row in rows] == ["3.5", "2.5", "1.5"]


def test_tables_are_not_replaced_without_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write_log(tmp_path / "caffe.log")
    assert run(["log", "parse", str(log), "--out", "tables"]) == 0
    before = (tmp_path / "tables" / "caffe.log.train").read_bytes()
    write_log(log, displays=1)
    assert run(["log", "parse", str(log), "--out", "tables"]) == 2
    assert "--force" in capsys.readouterr().err
    assert (tmp_path / "tables" / "caffe.log.train").read_bytes() == before
    assert run(["log", "parse", str(log), "--out", "tables", "--force"]) == 0
    assert (tmp_path / "tables" / "caffe.log.train").read_bytes() != before


def test_two_logs_of_one_name_are_not_mixed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs = [str(write_log(tmp_path / folder / "caffe.log")) for folder in ("a", "b")]
    assert run(["log", "parse", *logs, "--out", "tables"]) == 2
    assert "caffe.log" in capsys.readouterr().err
    assert not (tmp_path / "tables").exists()


def test_json_goes_to_stdout_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = write_log(tmp_path / "caffe.log")
    assert run(["log", "parse", str(log), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    (training,) = found["trainings"]
    assert [row["loss"] for row in training["train"]] == [3.5, 2.5, 1.5]
    assert [path.name for path in tmp_path.glob("caffe.log*")] == ["caffe.log"]


def test_plot_draws_logs_and_metrics_together(tmp_path: Path) -> None:
    log = write_log(tmp_path / "caffe.log", displays=30)
    metrics = tmp_path / "metrics.csv"
    metrics.write_text("iteration,seconds,lr,loss\n0,1,0.1,3\n100,2,0.1,2\n")
    assert run(["log", "plot", str(log), str(metrics), "--out", "pictures/curves.png"]) == 0
    picture = cv2.imread(str(tmp_path / "pictures" / "curves.png"))
    assert picture is not None
    assert picture.std() > 5


def test_a_training_in_two_logs_is_one_curve_when_joined(tmp_path: Path) -> None:
    first = write_log(tmp_path / "one.log")
    second = tmp_path / "two.log"
    second.write_text(
        FakeLog().wait(60).say("Resuming from a_iter_20.solverstate").start().display(20, loss="0.5").text()
    )
    assert run(["log", "plot", str(first), str(second), "--join", "--out", "joined.svg"]) == 0
    assert run(["log", "plot", str(first), str(second), "--out", "apart.svg"]) == 0
    joined, apart = (tmp_path / "joined.svg").read_text(), (tmp_path / "apart.svg").read_text()
    assert "LeNet" in joined
    assert "two.log: train loss" not in joined
    assert "two.log: train loss" in apart


@pytest.mark.parametrize("words", [["parse", "gone.log"], ["plot", "gone.log", "--out", "a.png"]])
def test_a_missing_log_ends_with_a_data_error(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["log", *words]) == 5
    assert "gone.log" in capsys.readouterr().err
