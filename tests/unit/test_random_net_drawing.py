"""The drawing of random nets without a Caffe: how many, of what, and that failures shrink to what shows them.

What the real Caffe says of these nets is in `tests/native/test_random_nets.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
import pytest

from caffeflow.engine.net import Net
from caffeflow.proto.caffe_pb2 import LayerParameter, ParamSpec
from tests.support.random_nets.drawing import FEWEST, MOST, RandomNet, draw_net
from tests.support.random_nets.running import build, run_fused, run_stepwise
from tests.support.random_nets.shrinking import shrink, size

NETS: Final = tuple(draw_net(seed) for seed in range(50))


def layers() -> list[LayerParameter]:
    return [layer for net in NETS for layer in net.net.layer]


def losses(net: RandomNet) -> int:
    return sum(layer.type.endswith("Loss") or any(layer.loss_weight) for layer in net.net.layer)


def is_in_place(layer: LayerParameter) -> bool:
    return bool(set(layer.bottom) & set(layer.top))


def named(net: RandomNet) -> list[tuple[str, ParamSpec]]:
    return [(spec.name, spec) for layer in net.net.layer for spec in layer.param if spec.name]


def shares(net: RandomNet, *, permissively: bool) -> bool:
    owned: set[str] = set()
    for name, spec in named(net):
        if name in owned and (spec.share_mode == ParamSpec.PERMISSIVE) == permissively:
            return True
        owned.add(name)
    return False


def has_branches(net: RandomNet) -> bool:
    read = [bottom for layer in net.net.layer for bottom in layer.bottom if not is_in_place(layer)]
    return len(read) > len(set(read))


def test_sizes_and_types() -> None:
    sizes = [len(net.net.layer) for net in NETS]
    assert min(sizes) >= FEWEST == 5
    assert max(sizes) <= MOST == 25
    assert len(set().union(*(net.types for net in NETS))) >= 40
    assert len({net.text() for net in NETS}) == 50


def test_the_same_seed_draws_the_same_net() -> None:
    for net in NETS[:10]:
        again = draw_net(net.seed)
        assert again.text() == net.text()
        assert list(again.feeds) == list(net.feeds)
        assert all(np.array_equal(again.feeds[blob], values) for blob, values in net.feeds.items())


@pytest.mark.parametrize(
    ("what", "count", "wanted"),
    [
        ("TEST nets", sum(net.phase == "TEST" for net in NETS), 10),
        ("smooth nets", sum(net.smooth for net in NETS), 15),
        ("force_backward", sum(net.net.force_backward for net in NETS), 10),
        ("branches", sum(map(has_branches, NETS)), 25),
        ("several losses", sum(losses(net) > 1 for net in NETS), 20),
        ("layers in place", sum(map(is_in_place, layers())), 10),
        ("blobs shared", sum(shares(net, permissively=False) for net in NETS), 3),
        ("blobs shared in another shape", sum(shares(net, permissively=True) for net in NETS), 3),
        ("propagate_down", sum(bool(layer.propagate_down) for layer in layers()), 5),
        (
            "loss weights on ordinary layers",
            sum(bool(layer.loss_weight) and layer.type in ("TanH", "Sigmoid", "BNLL") for layer in layers()),
            5,
        ),
        ("phases of layers", sum(layer.HasField("phase") for layer in layers()), 1),
        ("frozen blobs", sum(spec.lr_mult == 0 for layer in layers() for spec in layer.param), 10),
    ],
)
def test_what_is_among_them(what: str, count: int, wanted: int) -> None:
    assert count >= wanted, what


@pytest.mark.parametrize("drawn", NETS, ids=lambda drawn: drawn.name)
def test_every_net_builds_and_runs(drawn: RandomNet) -> None:
    assert isinstance(build(drawn), Net)
    stepwise, fused = run_stepwise(drawn, None), run_fused(drawn, None)
    assert math.isfinite(stepwise.loss)
    assert fused.loss == pytest.approx(stepwise.loss, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("drawn", NETS, ids=lambda drawn: drawn.name)
def test_what_is_not_copied_for_the_next_layer_gives_the_same(drawn: RandomNet) -> None:
    copied, plain = run_stepwise(drawn, None), run_stepwise(drawn, None, watched=False)
    assert plain.loss == copied.loss
    assert plain.learned.keys() == copied.learned.keys()
    for blob, gradient in copied.learned.items():
        assert np.array_equal(plain.learned[blob], gradient), blob  # None equals None


def shrunk(drawn: RandomNet, shows: Callable[[RandomNet], bool]) -> RandomNet:
    values = run_stepwise(drawn, None).tops

    def fails(nets: Sequence[RandomNet]) -> list[bool]:
        assert all(len(net.net.layer) <= len(drawn.net.layer) for net in nets)
        for net in nets:
            build(net)  # whatever is tried is a net
        return [shows(net) for net in nets]

    return shrink(drawn, values, fails)


def first_with(*types: str) -> RandomNet:
    return next(net for net in NETS if net.types.issuperset(types))


@pytest.mark.parametrize("kind", ["Eltwise", "Convolution", "LSTM", "SoftmaxWithLoss", "Filter", "Slice"])
def test_one_layer_that_fails_is_left_with_its_inputs(kind: str) -> None:
    small = shrunk(first_with(kind), lambda net: kind in net.types)
    (layer,) = (layer for layer in small.net.layer if layer.type != "Input")
    assert layer.type == kind
    assert (
        {blob for each in small.net.layer[:-1] for blob in each.top} == set(layer.bottom) == set(small.feeds)
    )
    assert math.isfinite(run_stepwise(small, None).loss)


def follow_each_other(net: RandomNet) -> bool:
    return any(
        (one.type, other.type) == ("BatchNorm", "Scale") or (one.type, other.type) == ("Scale", "ReLU")
        for one, other in pairwise(net.net.layer)
        if set(one.top) & set(other.bottom)
    )


def test_two_layers_that_fail_together_are_left_together() -> None:
    drawn = next(
        net for net in map(draw_net, range(400)) if follow_each_other(net) and len(net.net.layer) > 10
    )
    small = shrunk(drawn, follow_each_other)
    assert follow_each_other(small)
    assert len([layer for layer in small.net.layer if layer.type != "Input"]) == 2


def test_a_net_of_which_no_smaller_one_fails_stays_what_it_is() -> None:
    drawn = NETS[0]
    assert shrunk(drawn, lambda net: size(net) == size(drawn)).text() == drawn.text()
