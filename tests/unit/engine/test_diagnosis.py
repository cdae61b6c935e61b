"""Finding where numbers first go wrong, choosing a device, and listening to signals."""

from __future__ import annotations

import math
import os
import signal

import pytest
import torch

from caffeflow.engine.device import choose_device, describe_device
from caffeflow.engine.diagnosis import first_non_finite
from caffeflow.engine.signals import listening
from caffeflow.engine.training import FusedExecutor
from caffeflow.errors import UsageError
from tests.support.engine_nets import SMALL, batch, images, inner_product, net_of, norm, softmax_loss


def test_finite_numbers_are_no_finding() -> None:
    net = net_of(SMALL)
    assert first_non_finite(net, [batch(net)]) is None


def test_the_first_bad_blob_is_named() -> None:
    net = net_of(SMALL)
    net.layers[4].tensors[0].data.fill_(3e38)  # finite, but its products are not
    found = first_non_finite(net, [batch(net)])
    assert found is not None
    assert found.startswith("blob 'ip1' made by layer 'ip1' (InnerProduct): ")
    assert "of 33 values are" in found


def test_bad_weights_are_named_before_what_they_make() -> None:
    net = net_of(SMALL)
    net.layers[4].tensors[1].data[2] = math.nan
    found = first_non_finite(net, [batch(net)])
    assert found is not None
    assert found.startswith("learned blob 'bias' of layer 'ip1' (InnerProduct): 1 of 11 values are nan")


def test_statistics_that_followed_bad_numbers_are_not_blamed() -> None:
    text = (
        images(3, 2, 7, 5) + norm("n", "data", "n") + inner_product("ip", "n", "ip", 5) + softmax_loss("ip")
    )
    net = net_of(text)
    bad = batch(net)
    bad["data"][0][0, 0, 0, 0] = 3e38
    FusedExecutor(net).forward(bad)  # the running variance overflows, the top does not
    net.layers[3].tensors[0].data.fill_(3e38)
    found = first_non_finite(net, [bad])
    assert found is not None
    assert found.startswith("blob 'ip' made by layer 'ip'")


def test_bad_data_are_named_and_the_right_batch_is_found() -> None:
    net = net_of(SMALL)
    bad = batch(net)
    bad["data"][0][1, 0, 3, 3] = math.inf
    found = first_non_finite(net, [batch(net, seed=4), bad])
    assert found is not None
    assert found.startswith("blob 'data' made by layer 'data' (Input): 1 of 462 values are inf, the largest")


def test_devices() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto", prefers_cpu=True) == torch.device("cpu")
    assert describe_device(torch.device("cpu")).startswith("CPU, ")
    with pytest.raises(UsageError, match="--device cpu and --gpu 0 contradict"):
        choose_device("cpu", gpu="0")
    for several in ("0,1", "all"):
        with pytest.raises(UsageError, match=f"--gpu {several} asks for several"):
            choose_device("auto", gpu=several)
    with pytest.raises(UsageError, match="'first' is no GPU"):
        choose_device("auto", gpu="first")
    with pytest.raises(UsageError, match="GPU 99 was asked for, but this machine has"):
        choose_device("auto", gpu="99")


def test_signals_become_requests() -> None:
    before = signal.getsignal(signal.SIGINT)
    with listening() as requests:
        os.kill(os.getpid(), signal.SIGHUP)
        assert (requests.take_snapshot(), requests.take_snapshot()) == (True, False)
        assert not requests.stop
        os.kill(os.getpid(), signal.SIGINT)
        assert requests.stop
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_stops_as_ctrl_c_does() -> None:
    with listening() as requests:
        os.kill(os.getpid(), signal.SIGTERM)
        assert requests.stop
