"""Log lines: word for word as scripts around Caffe expect them."""

from __future__ import annotations

import re
from datetime import datetime

import pytest

from caffeflow.engine import lines
from caffeflow.engine.debug_info import DebugExecutor
from caffeflow.engine.lines import Element, LogLine
from tests.support.engine_nets import SMALL, batch, net_of


def test_the_prefix_is_glogs() -> None:
    line = LogLine("solver.cpp:239", "Iteration 0, loss = 2.3")
    text = line.with_prefix(datetime(2026, 11, 20, 10, 0, 0, 123456))
    assert re.fullmatch(r"I1120 10:00:00\.123456 [ \d]{4}\d solver\.cpp:239\] Iteration 0, loss = 2\.3", text)
    assert len(text.split()[:4]) == 4
    assert text.split()[3] == "solver.cpp:239]"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"), (2.302581, "2.30258"), (1e-4, "0.0001"), (1.5e-5, "1.5e-05"), (123456.7, "123457"),
        (1234567.0, "1.23457e+06"), (3.0, "3"), (float("nan"), "nan"), (float("inf"), "inf"),
    ],
)  # fmt: skip
def test_numbers_are_printed_as_by_a_stream(value: float, text: str) -> None:
    assert lines.number(value) == text


def test_a_displayed_iteration() -> None:
    first = lines.iteration(100, 0.25, per_second=25.3, seconds=3.95, display=100)
    assert first.text == "Iteration 100 (25.3 iter/s, 3.95s/100 iters), loss = 0.25"
    outputs = list(lines.train_outputs([Element("accuracy", 0.5, 0), Element("loss", 0.25, 2)]))
    assert [line.text for line in outputs] == [
        "    Train net output #0: accuracy = 0.5",
        "    Train net output #1: loss = 0.25 (* 2 = 0.5 loss)",
    ]
    assert lines.rate(100, 0.01).text == "Iteration 100, lr = 0.01"


def test_columns_that_parse_log_sh_counts() -> None:
    now = datetime(2026, 11, 20, 10, 0, 0, 1)
    (output,) = lines.test_scores([Element("accuracy", 0.5, 0)], None)
    assert output.with_prefix(now).split()[10] == "0.5"  # field 11
    assert lines.rate(7, 0.01).with_prefix(now).split()[8] == "0.01"  # field 9
    assert "] Solving LeNet" in next(lines.solving("LeNet", "inv")).with_prefix(now)


def test_a_test_pass_and_its_loss() -> None:
    shown = [line.text for line in lines.test_scores([Element("loss", 1.5, 1)], 1.5)]
    assert shown == ["Test loss: 1.5", "    Test net output #0: loss = 1.5 (* 1 = 1.5 loss)"]
    assert lines.testing(500, 1).text == "Iteration 500, Testing net (#1)"


def test_clipping() -> None:
    text = lines.clipping(12.0, 10.0, 0.833333333).text
    assert text == "Gradient clipping: scaling down gradients (L2 norm 12 > 10) by scale factor 0.833333"


def test_debug_info_names_every_blob() -> None:
    net = net_of(SMALL)
    said: list[str] = []
    executor = DebugExecutor(net, lambda line: said.append(line.text))
    executor.forward(batch(net))
    executor.backward()
    assert said[0].startswith("    [Forward] Layer data, top blob data data: ")
    assert any(line.startswith("    [Forward] Layer conv1, param blob 1 data: ") for line in said)
    assert any(line.startswith("    [Backward] Layer ip2, bottom blob ip1 diff: ") for line in said)
    assert any(line.startswith("    [Backward] Layer ip2, param blob 0 diff: ") for line in said)
    assert re.fullmatch(
        r"    \[Backward\] All net params \(data, diff\): L1 norm = \([\d.e+-]+, [\d.e+-]+\);"
        r" L2 norm = \([\d.e+-]+, [\d.e+-]+\)",
        said[-1],
    )
