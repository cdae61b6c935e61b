from __future__ import annotations

import csv
import json
import math

from caffeflow.report.log import parse_log
from caffeflow.report.log_files import csv_files, to_json
from tests.support.caffe_logs import FakeLog


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_files_have_the_names_and_columns_of_parse_log() -> None:
    log = FakeLog().start().wait(1.5).test(0, [("accuracy", "0.25"), ("loss", "2.3")])
    log.wait(1).display(0, loss="2.5", outputs=[("loss", "2.75")])
    files = csv_files(parse_log(log.lines), "caffe.log")

    assert list(files) == ["caffe.log.train", "caffe.log.test"]
    assert files["caffe.log.train"].splitlines() == [
        "NumIters,Seconds,LearningRate,loss,SmoothedLoss",
        "0,2.5,0.01,2.75,2.5",
    ]
    assert files["caffe.log.test"].splitlines() == [
        "NumIters,Seconds,LearningRate,accuracy,loss",
        "0,1.5,0.01,0.25,2.3",
    ]


def test_rows_with_nan_are_written_and_read_back() -> None:
    log = FakeLog().start().display(0, loss="nan", outputs=[("loss", "-nan")]).display(1, loss="inf")
    first, second = rows_of(csv_files(parse_log(log.lines), "x")["x.train"])
    assert math.isnan(float(first["loss"]))
    assert math.isinf(float(second["SmoothedLoss"]))
    assert second["loss"] == ""


def test_a_second_test_net_and_an_earlier_run_have_files_of_their_own() -> None:
    log = FakeLog().start().display(0, loss="1").start()
    log.test(0, [("a", "1")], net=0).test(0, [("b", "2")], net=1).display(0, loss="2")
    files = csv_files(parse_log(log.lines), "x.log")
    assert set(files) == {"x.log.run1.train", "x.log.run1.test", "x.log.train", "x.log.test", "x.log.test1"}
    assert rows_of(files["x.log.run1.train"])[0]["SmoothedLoss"] == "1.0"
    assert rows_of(files["x.log.test1"])[0]["b"] == "2.0"


def test_json_is_strict_and_keeps_nan_as_a_word() -> None:
    log = FakeLog(year=True).start().display(0, loss="nan").say("MultiStep Status: Iteration 5, step = 1")
    (run,) = json.loads(json.dumps(to_json(parse_log(log.lines)), allow_nan=False))
    assert run["train"][0]["loss"] == "nan"
    assert run["started"].startswith("2026-11-20T10:00:00")
    assert run["steps"] == [{"policy": "MultiStep", "iteration": 5, "step": 1.0}]
