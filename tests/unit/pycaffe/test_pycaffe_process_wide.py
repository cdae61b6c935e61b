"""What scripts set and ask for the whole process, and arrays for MemoryData."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffeflow import pycaffe as caffe
from caffeflow.errors import DataError, NetError, UsageError

MEMORY_NET = """
layer { name: "data" type: "MemoryData" top: "data" top: "label"
  memory_data_param { batch_size: 2 channels: 3 height: 5 width: 7 } }
layer { name: "twice" type: "Power" bottom: "data" top: "twice" power_param { scale: 2 } }
layer { name: "silence" type: "Silence" bottom: "label" }
"""


def test_arrays_are_cut_into_batches_around_the_end(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(MEMORY_NET)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    images = np.random.default_rng(1).standard_normal((4, 3, 5, 7)).astype(np.float32)
    net.set_input_arrays(images, np.array([3, 1, 4, 1]))
    for rows in (slice(0, 2), slice(2, 4), slice(0, 2)):
        np.testing.assert_allclose(net.forward()["twice"], 2 * images[rows], rtol=1e-6)
        assert net.blobs["label"].data.tolist() == [3, 1, 4, 1][rows]
    with pytest.raises(DataError, match=r"layer 'data'.*multiple of batch_size 2"):
        net.set_input_arrays(images[:3], np.zeros(3))


def test_other_nets_take_no_arrays(tmp_path: Path) -> None:
    text = 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }'
    (tmp_path / "net.prototxt").write_text(text)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    with pytest.raises(NetError, match=r"layer 'in': is of type Input.*MemoryData"):
        net.set_input_arrays(np.zeros((1, 1, 1, 1)), np.zeros(1))


def test_layer_types_are_listed() -> None:
    types = caffe.layer_type_list()
    assert {"Convolution", "Python", "SoftmaxWithLoss"} < set(types)
    assert types == sorted(types)


def test_one_process_on_the_cpu(caplog: pytest.LogCaptureFixture) -> None:
    caffe.set_mode_cpu()
    assert not caplog.records
    caffe.set_mode_gpu()
    caffe.set_device(0)
    assert "computes on the CPU" in caplog.text
    assert (caffe.has_nccl(), caffe.solver_count(), caffe.solver_rank()) == (False, 1, 0)
    caffe.set_solver_count(1)
    caffe.set_solver_rank(0)
    caffe.set_multiprocess(False)
    for call in (
        lambda: caffe.set_solver_count(2),
        lambda: caffe.set_solver_rank(1),
        lambda: caffe.set_multiprocess(True),
        lambda: caffe.NCCL(None, ""),
        lambda: caffe.NCCL.new_uid(),
    ):
        with pytest.raises(UsageError, match="train alone"):
            call()


def test_the_log_can_be_quiet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOG_minloglevel", "0")
    caffe.init_log()
    caffe.log("something")
    assert capsys.readouterr().err.endswith("] something\n")
    caffe.set_logging_disabled()
    caffe.log("something")
    assert capsys.readouterr().err == ""
    caffe.init_log(2)
    caffe.log("something")
    assert capsys.readouterr().err == ""
    caffe.init_log()


def test_a_timer_measures() -> None:
    timer = caffe.Timer()
    timer.start()
    timer.stop()
    assert timer.ms >= 0
