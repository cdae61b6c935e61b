from __future__ import annotations

import math
from datetime import datetime
from pathlib import Path

import pytest

from caffeflow.errors import DataError
from caffeflow.report.log import LogReader, join, parse_log, read_log
from tests.support.caffe_logs import FakeLog


def two_displays(*, year: bool = False, bvlc: bool = True) -> FakeLog:
    log = FakeLog(year=year).start("LeNet")
    log.wait(2).test(0, [("accuracy", "0.1"), ("loss", "2.3")])
    log.wait(3).display(0, loss="2.31", lr="0.01", outputs=[("loss", "2.35")], bvlc=bvlc)
    log.wait(5).display(100, loss="1.5", lr="0.001", outputs=[("loss", "1.25")], bvlc=bvlc)
    return log.wait(7).test(100, [("accuracy", "0.75"), ("loss", "0.5")])


@pytest.mark.parametrize("year", [False, True])
@pytest.mark.parametrize("bvlc", [False, True])
def test_rows_have_iteration_seconds_rate_and_outputs(year: bool, bvlc: bool) -> None:
    (run,) = parse_log(two_displays(year=year, bvlc=bvlc).lines)

    assert run.net == "LeNet"
    assert [(r.iteration, r.seconds, r.lr, r.loss) for r in run.train] == [
        (0, 5.0, 0.01, 2.31),
        (100, 10.0, 0.001, 1.5),
    ]
    assert [dict(r.outputs) for r in run.train] == [{"loss": 2.35}, {"loss": 1.25}]
    assert [(r.iteration, r.seconds, r.lr) for r in run.test] == [(0, 2.0, 0.01), (100, 17.0, 0.001)]
    assert dict(run.test[1].outputs) == {"accuracy": 0.75, "loss": 0.5}
    assert math.isnan(run.test[1].loss)


def test_the_year_is_read_when_the_log_has_one() -> None:
    assert parse_log(two_displays(year=True).lines)[0].started == datetime(2026, 11, 20, 10, 0, 0, 250000)


def test_seconds_go_on_over_new_year_in_a_log_without_years() -> None:
    log = FakeLog(start=datetime(2026, 12, 31, 23, 59, 58)).start()
    log.wait(4).display(0, loss="1")
    assert parse_log(log.lines)[0].train[0].seconds == 4.0


def test_the_29th_of_february_is_a_day_in_a_log_without_years() -> None:
    log = FakeLog(start=datetime(2024, 2, 29, 12, 0, 0)).start().wait(1).display(0, loss="1")
    assert parse_log(log.lines)[0].train[0].seconds == 1.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [("nan", math.nan), ("-nan", math.nan), ("inf", math.inf), ("-inf", -math.inf), ("1.#QNAN", math.nan),
     ("-1.#IND", math.nan), ("1.#INF", math.inf), ("-1.#INF", -math.inf), ("1.5e-05", 1.5e-05),
     ("3e+08", 3e8), ("87.3365", 87.3365)],
)  # fmt: skip
def test_rows_of_a_diverged_training_stay(text: str, expected: float) -> None:
    log = FakeLog().start().display(0, loss=text, outputs=[("loss", text)]).test(0, [("loss", text)])
    (run,) = parse_log(log.lines)
    values = [run.train[0].loss, run.train[0].outputs["loss"], run.test[0].outputs["loss"]]
    assert values == pytest.approx([expected] * 3, nan_ok=True)


def test_speed_of_the_first_display_may_be_any_number() -> None:
    log = FakeLog().start()
    log.say("Iteration 0 (-1.4013e-45 iter/s, 3s/20 iters), loss = 2")
    log.say("Iteration 20 (nan iter/s, 3s/20 iters), loss = 3")
    log.say("Iteration 40 (3.2 iter/s, 6.2s/20 iters), 0.5/90ep, loss = 4")
    assert [(r.iteration, r.loss) for r in parse_log(log.lines)[0].train] == [(0, 2), (20, 3), (40, 4)]


def test_every_test_net_keeps_its_rows() -> None:
    log = FakeLog().start()
    log.test(0, [("accuracy", "0.25")], net=0).test(0, [("top-5", "0.5"), ("loss", "3")], net=1)
    log.display(0, loss="1")
    (run,) = parse_log(log.lines)
    assert run.test_nets() == [0, 1]
    assert [dict(r.outputs) for r in run.test_of(0)] == [{"accuracy": 0.25}]
    assert [dict(r.outputs) for r in run.test_of(1)] == [{"top-5": 0.5, "loss": 3.0}]


def test_elements_of_one_blob_are_told_apart() -> None:
    log = FakeLog().start().test(0, [("accuracy", "0.5"), ("per_class", "0.1"), ("per_class", "0.2")])
    assert dict(parse_log(log.lines)[0].test[0].outputs) == {
        "accuracy": 0.5, "per_class[0]": 0.1, "per_class[1]": 0.2
    }  # fmt: skip


def test_test_loss_goes_to_the_test_row() -> None:
    log = FakeLog().start().say("Iteration 0, Testing net (#0)").say("Test loss: 0.625")
    assert parse_log(log.lines)[0].test[0].loss == 0.625


def test_steps_of_the_rate_are_no_rows() -> None:
    log = FakeLog().start().display(0, loss="1")
    log.say("MultiStep Status: Iteration 50, step = 1")
    log.say("Plateau Status: Iteration 60, current minimum_loss = 0.25")
    log.say("Plateau Status: Iteration 60, step = 2").display(100, loss="0.5")
    (run,) = parse_log(log.lines)
    assert [row.iteration for row in run.train] == [0, 100]
    assert [(s.policy, s.iteration, s.what, s.value) for s in run.statuses] == [
        ("MultiStep", 50, "step", 1),
        ("Plateau", 60, "current minimum_loss", 0.25),
        ("Plateau", 60, "step", 2),
    ]


def test_a_status_between_loss_and_rate_does_not_part_them() -> None:
    log = FakeLog().start().say("Iteration 50, loss = 1").say("    Train net output #0: loss = 2")
    log.say("MultiStep Status: Iteration 50, step = 1").say("Iteration 50, lr = 0.001")
    (row,) = parse_log(log.lines)[0].train
    assert (row.lr, dict(row.outputs)) == (0.001, {"loss": 2.0})


def test_snapshots_end_and_source_weights_are_noted() -> None:
    log = FakeLog().say("Finetuning from vgg.caffemodel").start().display(0, loss="1")
    log.say("Snapshotting to binary proto file a_iter_1.caffemodel")
    log.say("Snapshotting solver state to binary proto file a_iter_1.solverstate")
    log.say("Snapshotting to HDF5 file a_iter_2.caffemodel.h5").say("Optimization Done.")
    (run,) = parse_log(log.lines)
    assert run.weights == "vgg.caffemodel"
    assert run.snapshots == ("a_iter_1.caffemodel", "a_iter_2.caffemodel.h5")
    assert run.ended == "done"
    assert run.error is None


def test_the_fatal_line_is_the_error_of_its_run() -> None:
    log = FakeLog().start().display(0, loss="1")
    log.say("Check failed: error == cudaSuccess (2 vs. 0)  out of memory", level="F")
    log.say("Check failed: later", level="F")
    assert parse_log(log.lines)[0].error == "Check failed: error == cudaSuccess (2 vs. 0)  out of memory"


def resumed(*, restore_first: bool) -> FakeLog:
    log = FakeLog().start()
    for iteration in (0, 10, 20, 30):
        log.wait(1).display(iteration, loss=str(iteration + 1))
    log.wait(96)
    restore = ["Resuming from a_iter_20.solverstate", "SGDSolver: restoring history"]
    if restore_first:
        log.say(restore[0]).say(restore[1]).start()
    else:
        log.start().say(restore[0]).say(restore[1])
    return log.wait(2).display(20, loss="0.5").wait(1).display(30, loss="0.25").say("Optimization Done.")


@pytest.mark.parametrize("restore_first", [True, False])
def test_a_resumed_run_is_a_run_of_its_own(restore_first: bool) -> None:
    first, second = parse_log(resumed(restore_first=restore_first).lines)
    assert first.resumed_from is None
    assert second.resumed_from == "a_iter_20.solverstate"
    assert [row.iteration for row in first.train] == [0, 10, 20, 30]
    assert [(row.iteration, row.seconds) for row in second.train] == [(20, 2.0), (30, 3.0)]


def test_joining_replaces_what_came_after_the_snapshot() -> None:
    (run,) = join(parse_log(resumed(restore_first=True).lines))
    assert [(row.iteration, row.loss, row.seconds) for row in run.train] == [
        (0, 1, 1),
        (10, 11, 2),
        (20, 0.5, 102),
        (30, 0.25, 103),
    ]
    assert run.ended == "done"


def test_joining_keeps_all_rows_when_the_resumed_run_died_at_once() -> None:
    log = FakeLog().start().display(0, loss="1").display(10, loss="2")
    log.say("Resuming from a_iter_10.solverstate").start().say("Check failed: no", level="F")
    (run,) = join(parse_log(log.lines))
    assert [row.iteration for row in run.train] == [0, 10]
    assert run.error == "Check failed: no"


def test_a_fresh_start_in_the_same_file_is_another_training() -> None:
    log = FakeLog().start().display(0, loss="1").display(10, loss="2").start().display(0, loss="3")
    assert [len(run.train) for run in join(parse_log(log.lines))] == [2, 1]


def test_a_log_without_prefixes_has_rows_without_seconds() -> None:
    lines = ["Iteration 0, loss = 2.5", "    Train net output #0: loss = 3", "Iteration 0, lr = 0.1"]
    (run,) = parse_log(lines)
    assert math.isnan(run.train[0].seconds)
    assert (run.train[0].loss, run.train[0].lr, dict(run.train[0].outputs)) == (2.5, 0.1, {"loss": 3.0})


def test_glued_logs_without_their_first_lines_are_two_runs() -> None:
    log = FakeLog().display(0, loss="1").display(10, loss="2").display(0, loss="3")
    assert [[row.iteration for row in run.train] for run in parse_log(log.lines)] == [[0, 10], [0]]


def test_rows_come_as_soon_as_they_are_complete() -> None:
    reader = LogReader()
    done = [reader.feed(line) for line in two_displays().lines]
    rows = [row for row in done if row is not None]
    assert [(row.iteration, row.test_net) for row in rows] == [(0, 0), (0, None), (100, None)]
    assert len(reader.finish()[0].test) == 2


def test_lines_of_other_programs_are_passed_over() -> None:
    noise = [
        "",
        "\x1b[31mhello",
        "I1399 99:99:99.0 1 a.cpp:1] Solving",
        "Iteration 5 of something",
        "I0231 10:00:00.0 7 a.cpp:1] x",
    ]
    (run,) = parse_log([*noise, *two_displays().lines, *noise])
    assert [row.iteration for row in run.train] == [0, 100]


def test_a_file_without_training_says_what_was_expected(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("nothing here\n")
    with pytest.raises(DataError, match=r"notes\.txt.*no training.*Iteration"):
        read_log(path)


def test_a_log_that_ends_before_training_says_why(tmp_path: Path) -> None:
    path = tmp_path / "caffe.log"
    path.write_text(FakeLog().say("Unknown layer type: ReLU6", level="F").text())
    with pytest.raises(DataError, match="Unknown layer type: ReLU6"):
        read_log(path)


def test_a_missing_log_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.log"):
        read_log(tmp_path / "gone.log")


def test_a_test_of_detections_has_its_classes_in_the_row() -> None:
    log = FakeLog().start("SSD").say("Iteration 200, Testing net (#0)")
    log.say("class1: 0.812345").say("Missing true_pos for label: 2", level="W").say("class3: 0")
    log.say("    Test net output #0: detection_eval = 0.270782").display(200, loss="3.5", bvlc=False)
    (run,) = parse_log(log.lines)
    (row,) = run.test
    assert row.outputs == {"class1": 0.812345, "class3": 0.0, "detection_eval": 0.270782}
    assert [row.iteration for row in run.train] == [200]


def test_words_that_begin_like_a_class_are_none() -> None:
    log = FakeLog().start().say("Iteration 0, Testing net (#0)").say("class1: 0.5 seconds").say("classes: 3")
    (run,) = parse_log(log.lines)
    assert run.test[0].outputs == {}
