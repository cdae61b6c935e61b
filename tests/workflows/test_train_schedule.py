"""Cosine, warm-up and smoothed labels by option: what the log, the record and a resumed run make of them."""

from __future__ import annotations

import json
import math
import re
import signal
from pathlib import Path

import pytest

from caffeflow.errors import UsageError
from tests.support.training_project import Project, runs

FIELDS = "max_iter: 12 test_iter: 2 test_interval: 4 snapshot: 5"
OPTIONS = {"lr_policy": "cosine", "warmup": 3, "label_smoothing": 0.1}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def rates(lines: list[str]) -> dict[int, float]:
    found = re.findall(r"Iteration (\d+), lr = (\S+)", "\n".join(lines))
    return {int(iteration): float(rate) for iteration, rate in found}


def stop_at(project: Project, iteration: int) -> None:
    """Lets the screen press Ctrl-C when an iteration is done."""

    def progress(done: int, total: int, note: str) -> None:
        if done == iteration:
            signal.raise_signal(signal.SIGINT)

    project.screen.progress = progress  # type: ignore[method-assign]


def losses(lines: list[str], which: str) -> list[float]:
    return [float(value) for value in re.findall(rf"{which} net output #\d+: loss = (\S+)", "\n".join(lines))]


def weights(run: str) -> bytes:
    return (Path("runs") / run / "snapshots/tiny_iter_12.caffemodel").read_bytes()


def test_the_log_tells_the_policy_and_its_rates() -> None:
    project = Project(FIELDS)
    project.train(**OPTIONS)
    expected = {
        0: 0.01 / 3,
        4: 0.005 * (1 + math.cos(math.pi / 9)),
        8: 0.005 * (1 + math.cos(math.pi * 5 / 9)),
    }
    assert rates(project.screen.lines) == pytest.approx(expected, rel=1e-5)
    assert any(line.endswith("Learning Rate Policy: cosine") for line in project.screen.lines)
    assert any(
        "lr_policy 'step' has no effect: --lr-policy is cosine" in note for note in project.screen.notes
    )
    record = json.loads(Path("runs/tiny-001/run.json").read_text())["settings"]
    assert {name: record[name] for name in OPTIONS} == OPTIONS


def test_only_the_train_net_s_loss_is_smoothed() -> None:
    plain, smoothed = Project(FIELDS), Project(FIELDS)
    plain.train(iterations=1)
    smoothed.train(iterations=1, label_smoothing=0.3)
    # Before the first update both nets are the same.
    assert losses(plain.screen.lines, "Test")[0] == losses(smoothed.screen.lines, "Test")[0]
    assert losses(plain.screen.lines, "Train")[0] != losses(smoothed.screen.lines, "Train")[0]


def test_resume_takes_them_over_and_ends_in_the_same_weights() -> None:
    Project(FIELDS).train(**OPTIONS)
    stopped = Project(FIELDS)
    stop_at(stopped, 7)
    stopped.train(**OPTIONS)
    Project(FIELDS).train(resume=True)
    assert weights("tiny-002") == weights("tiny-001")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"lr_policy": "cosine"}, "--lr-policy cosine: Caffe's solvers have no such policy.*multistep"),
        ({"warmup": 3}, "--warmup 3: Caffe's solvers know none.*--snapshot"),
        ({"label_smoothing": 0.1}, r"--label-smoothing 0\.1: Caffe's SoftmaxWithLoss takes whole labels"),
    ],
)
def test_the_real_caffe_is_not_asked_for_what_it_cannot_do(options: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Project(FIELDS).train(engine="caffe", **options)
    assert runs() == []


def test_what_says_nothing_is_no_reason_to_refuse_the_real_caffe() -> None:
    with pytest.raises(Exception, match=r"nothing there") as caught:
        Project(FIELDS).train(
            engine="caffe", caffe=Path("nothing there"), lr_policy="solver", warmup=0, label_smoothing=0.0
        )
    assert not isinstance(caught.value, UsageError)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"label_smoothing": 1.0}, "--label-smoothing is 1; expected from 0 to below 1"),
        ({"label_smoothing": math.nan}, "--label-smoothing is nan"),
        ({"warmup": -1}, "--warmup is -1; expected a number of iterations"),
    ],
)
def test_numbers_out_of_their_range_are_refused(options: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Project(FIELDS).train(**options)
    assert runs() == []


def test_what_does_not_fit_is_told_before_anything_is_written() -> None:
    with pytest.raises(UsageError, match="--warmup 12 leaves nothing of 12 iterations"):
        Project(FIELDS).train(warmup=12)
    project = Project(FIELDS)
    net = project.solver.with_name("train_val.prototxt")
    net.write_text(net.read_text().replace('"SoftmaxWithLoss"', '"HingeLoss"'))
    with pytest.raises(UsageError, match=r"--label-smoothing 0\.1 .*'loss' is a HingeLoss"):
        project.train(label_smoothing=0.1)
    assert runs() == []
