from __future__ import annotations

import math
from pathlib import Path

import pytest

from caffeflow.errors import DataError
from caffeflow.report.curves import curves_of_run, curves_of_table, kind_of, read_metrics, smooth
from caffeflow.report.log import parse_log
from tests.support.caffe_logs import FakeLog


@pytest.mark.parametrize(
    ("name", "kind"),
    [("lr", "rate"), ("loss", "loss"), ("train mbox_loss", "loss"), ("test accuracy", "score"),
     ("test top-5", "score"), ("detection_eval", "score"), ("cross_entropy", "loss"), ("prob[3]", "other")],
)  # fmt: skip
def test_kind_is_told_by_the_name(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_log_rows_become_series() -> None:
    log = FakeLog().start().test(0, [("accuracy", "0.1")]).test(0, [("accuracy", "0.2")], net=1)
    log.wait(60).display(0, loss="2", lr="0.1", outputs=[("loss", "3")]).display(5, loss="nan", lr="0.01")
    curves = curves_of_run(parse_log(log.lines)[0], label="mine")

    values = {s.name: list(zip(s.iterations, s.values, strict=True)) for s in curves.series}
    assert values["lr"] == [(0, 0.1), (5, 0.01)]
    assert values["train loss"] == [(0, 3.0)]
    assert values["test accuracy"] == [(0, 0.1)]
    assert values["test1 accuracy"] == [(0, 0.2)]
    assert [s.is_test for s in curves.of("score")] == [True, True]
    assert curves.first_bad() == 5
    assert curves.seconds == 60


def test_metrics_table_becomes_series_and_empty_cells_no_points(tmp_path: Path) -> None:
    path = tmp_path / "run-3" / "metrics.csv"
    path.parent.mkdir()
    path.write_text(
        "iteration,seconds,lr,loss,train loss,test accuracy\n0,0.5,0.01,2.5,2.75,0.1\n10,1.5,0.01,1.5,,\n"
    )
    curves = read_metrics(path)
    assert curves.label == "run-3"
    assert curves.seconds == 1.5
    assert [(s.name, s.iterations, s.values) for s in curves.series] == [
        ("lr", (0, 10), (0.01, 0.01)),
        ("loss", (0, 10), (2.5, 1.5)),
        ("train loss", (0,), (2.75,)),
        ("test accuracy", (0,), (0.1,)),
    ]


def test_one_train_output_is_not_drawn_twice() -> None:
    one = curves_of_table([{"iteration": 0, "loss": 1, "train loss": 1, "test loss": 2}], label="x")
    assert [s.name for s in one.losses()] == ["loss", "test loss"]
    two = curves_of_table([{"iteration": 0, "loss": 1, "train loss1": 1, "train loss2": 2}], label="x")
    assert [s.name for s in two.losses()] == ["loss", "train loss1", "train loss2"]


@pytest.mark.parametrize(
    ("text", "words"), [("", "metrics"), ("a,b\n1,2\n", "iteration"), ("iteration,loss\n1,x\n", "x")]
)
def test_other_tables_are_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        read_metrics(path)


def test_smoothing_is_a_centred_mean_that_passes_over_nan() -> None:
    assert smooth([1, 2, 6, math.nan, 4], window=3) == [1.5, 3, 4, 5, 4]
    assert math.isnan(smooth([math.nan], window=5)[0])


def test_scores_of_a_test_pass_whose_loss_is_nan_are_left_out() -> None:
    rows = [
        {
            "iteration": 0,
            "test accuracy": 1.0,
            "test loss": math.nan,
            "test1 accuracy": 0.1,
            "test1 loss": 2.3,
        },
        {"iteration": 5, "test accuracy": 0.4, "test loss": 1.2, "test1 accuracy": 0.3, "test1 loss": 1.9},
    ]
    curves = curves_of_table(rows, label="x")
    scores = {series.name: (series.iterations, series.values) for series in curves.of("score")}
    assert scores == {"test accuracy": ((5,), (0.4,)), "test1 accuracy": ((0, 5), (0.1, 0.3))}
    assert curves.first_bad() == 0


def test_the_scores_of_single_classes_are_a_kind_of_their_own() -> None:
    row = {"iteration": 0, "test detection_eval": 0.4, "test class1": 0.5, "test class12": 0.3, "class": 1.0}
    curves = curves_of_table([row], label="x")
    assert [series.name for series in curves.of("score")] == ["test detection_eval"]
    assert [series.name for series in curves.of("class")] == ["test class1", "test class12"]
    assert [series.name for series in curves.of("other")] == ["class"]
