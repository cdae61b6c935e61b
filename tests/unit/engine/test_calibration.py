from __future__ import annotations

import pytest
import torch

from caffeflow.engine.calibration import calibrate
from caffeflow.engine.net import Net
from caffeflow.engine.synthetic import synthetic_feeds
from caffeflow.engine.training import Feeds, FusedExecutor
from caffeflow.errors import NetError
from caffeflow.layers.inference import infer
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import Phase, filter_net, net_state
from caffeflow.proto.text import parse

INPUT = (
    'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 8 dim: 3 dim: 13 dim: 11 } } }'
)


def conv(name: str, bottom: str, *, std: float = 0.01, extra: str = "", more: str = "") -> str:
    return (
        f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" {more} convolution_param {{'
        f' num_output: 7 kernel_size: 3 pad: 1 weight_filler {{ type: "gaussian" std: {std} }} {extra} }} }}'
    )


def in_place(type_: str, blob: str) -> str:
    return f'layer {{ name: "{blob}/{type_}" type: "{type_}" bottom: "{blob}" top: "{blob}" }}'


DEEP = (
    INPUT + conv("c1", "data") + in_place("ReLU", "c1")
    + conv("c2", "c1", extra='bias_filler { type: "constant" value: 3 }') + in_place("ReLU", "c2")
    + conv("c3", "c2", std=5) + in_place("ReLU", "c3") + conv("c4", "c3")
)  # fmt: skip
NORMALISED = (
    INPUT + conv("c1", "data") + in_place("BatchNorm", "c1") + in_place("ReLU", "c1") + conv("c2", "c1")
)


def net_of(text: str, phase: Phase = "TRAIN") -> Net:
    graph = build_graph(filter_net(parse(text, NetParameter(), source="net"), net_state(phase)))
    return Net(graph, infer(graph), seed=2)


def batches(net: Net, count: int) -> list[Feeds]:
    return [synthetic_feeds(net, seed=seed) for seed in range(count)]


def outputs(net: Net, *blobs: str) -> list[torch.Tensor]:
    made = FusedExecutor(net, keep=blobs).forward(synthetic_feeds(net, seed=77)).outputs
    return [made[blob] for blob in blobs]


def test_a_deep_net_without_batchnorm_keeps_outputs_of_order_one() -> None:
    net = net_of(DEEP)
    done = calibrate(net, batches(net, 1))
    assert [layer.layer for layer in done] == ["c1", "c2", "c3", "c4"]
    assert all(0.9 < layer.after < 1.1 for layer in done)
    assert min(layer.before for layer in done) < 0.1
    assert max(layer.before for layer in done) > 10
    assert 0.5 < float(outputs(net, "c4")[0].std()) < 2


def test_only_the_size_of_the_weights_changes() -> None:
    net = net_of(DEEP)
    first = net.arrays()
    calibrate(net, batches(net, 1))
    for old, new in zip(first, net.arrays(), strict=True):
        if old.arrays:
            ratio = new.arrays[0] / old.arrays[0]
            assert ratio.std() / ratio.mean() < 1e-5
            assert (new.arrays[1] == old.arrays[1]).all()


def test_statistics_are_averages_of_the_batches() -> None:
    net = net_of(NORMALISED)
    done = calibrate(net, batches(net, 3))
    assert [layer.layer for layer in done] == ["c2"]
    conv1 = next(layer for layer in net.layers if layer.name == "c1")
    norm = next(layer for layer in net.layers if layer.type == "BatchNorm")
    with torch.no_grad():
        made = [conv1.module(feeds["data"][0]) for feeds in batches(net, 3)]
    means = [x.mean(dim=(0, 2, 3)) for x in made]
    variances = [x.var(dim=(0, 2, 3), unbiased=True) for x in made]
    weights = [0.999**2, 0.999, 1]
    mean, variance, factor = norm.tensors
    torch.testing.assert_close(factor, torch.tensor([sum(weights)]))
    torch.testing.assert_close(
        mean, sum(w * m for w, m in zip(weights, means, strict=True)), rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(
        variance, sum(w * v for w, v in zip(weights, variances, strict=True)), rtol=1e-4, atol=1e-4
    )


def test_a_calibrated_net_stays_of_order_one_in_its_test_phase() -> None:
    train, test = net_of(NORMALISED), net_of(NORMALISED, "TEST")
    assert float(outputs(test, "c1")[0].std()) > 50  # untrained statistics multiply by 316
    calibrate(train, batches(train, 4))
    test.load(train.arrays())
    c1, c2 = outputs(test, "c1", "c2")
    assert 0.3 < float(c1.std()) < 2
    assert 0.5 < float(c2.std()) < 2


def test_calibrating_twice_changes_nothing() -> None:
    net = net_of(NORMALISED)
    calibrate(net, batches(net, 2))
    first = net.arrays()
    calibrate(net, batches(net, 2))
    for old, new in zip(first, net.arrays(), strict=True):
        for a, b in zip(old.arrays, new.arrays, strict=True):
            torch.testing.assert_close(torch.from_numpy(a), torch.from_numpy(b), rtol=1e-5, atol=1e-6)


def test_frozen_layers_keep_their_weights() -> None:
    net = net_of(
        INPUT
        + conv("frozen", "data", more="param { lr_mult: 0 } param { lr_mult: 0 }")
        + conv("c2", "frozen")
    )
    assert [layer.layer for layer in calibrate(net, batches(net, 1))] == ["c2"]


def test_shared_weights_are_scaled_once() -> None:
    text = INPUT.replace("dim: 3", "dim: 7") + conv("a", "data", more='param { name: "w" }')
    net = net_of(text + conv("b", "data", more='param { name: "w" }'))
    assert [layer.layer for layer in calibrate(net, batches(net, 1))] == ["a"]


def test_weights_of_zero_cannot_be_calibrated() -> None:
    net = net_of(DEEP)
    with torch.no_grad():
        net.layers[1].tensors[0].zero_()
    with pytest.raises(NetError, match="deviation of 0") as caught:
        calibrate(net, batches(net, 1))
    assert caught.value.layer == "c1"


@pytest.mark.parametrize("setting", ["", "batch_norm_param { use_global_stats: true }"])
def test_phase_and_global_stats_do_not_matter(setting: str) -> None:
    text = NORMALISED.replace('type: "BatchNorm"', f'type: "BatchNorm" {setting}')
    expected, net = net_of(NORMALISED), net_of(text, "TEST")
    calibrate(expected, batches(expected, 2))
    calibrate(net, batches(net, 2))
    for first, second in zip(expected.arrays(), net.arrays(), strict=True):
        for a, b in zip(first.arrays, second.arrays, strict=True):
            torch.testing.assert_close(torch.from_numpy(a), torch.from_numpy(b), rtol=1e-5, atol=1e-6)
    before = net.arrays()
    outputs(net, "c2")
    assert all(
        (a == b).all()
        for x, y in zip(before, net.arrays(), strict=True)
        for a, b in zip(x.arrays, y.arrays, strict=True)
    )
