"""The nets of part `passes` that are no pictures' classifiers: boxes that match, sequences that go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.detection_net import BATCH_SIZE, render_detection_net
from benchmarks.nets import train_net
from benchmarks.passes_child import constants
from benchmarks.recurrent_nets import RECURRENT, RecurrentNet
from caffeflow.engine.stepwise import StepwiseExecutor
from caffeflow.engine.training import FusedExecutor


def test_the_detection_net_has_a_box_in_each_image_and_trains_on_it(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(render_detection_net())
    net = train_net(tmp_path / "net.prototxt")
    executor = StepwiseExecutor(net)
    loss = executor.forward(constants(net)).loss
    rows = executor.data["label"].view(-1, 8)
    assert [row[0].item() for row in rows] == list(range(BATCH_SIZE))
    assert rows[:, 1:].tolist() == [pytest.approx([1, 0, 0.2, 0.2, 0.7, 0.7, 0])] * BATCH_SIZE
    executor.backward()
    assert 0 < float(loss) < float("inf")
    # Offsets have a gradient only where a prior matches a box.
    assert executor.diff["mbox_loc"].any()


@pytest.mark.parametrize("recurrent", RECURRENT, ids=lambda one: one.name)
def test_recurrent_nets_learn(recurrent: RecurrentNet, tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(recurrent.text())
    net = train_net(tmp_path / "net.prototxt")
    executor = FusedExecutor(net)
    result = executor.forward(constants(net))
    executor.backward()
    assert result.loss > 0
    assert all(blob.tensors[0].grad.any() for blob in net.learned)


def test_small_and_large_recurrent_nets_are_timed() -> None:
    assert {(one.type, one.size) for one in RECURRENT} == {
        (name, size) for name in ("RNN", "LSTM") for size in (32, 256)
    }
