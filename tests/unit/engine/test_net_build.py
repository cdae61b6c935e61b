"""Nets: what they own and share, how they begin, what they load, save and print."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffeflow.engine.training import FusedExecutor
from caffeflow.errors import NetError, WeightsError
from caffeflow.proto.binary import LayerArrays
from tests.support.engine_nets import (
    SMALL,
    batch,
    images,
    inner_product,
    layer,
    net_of,
    norm,
    softmax_loss,
)


def dense(*layers: str) -> str:
    return images(2, 3, 5, 7) + "".join(layers)


def test_learned_blobs_come_in_caffes_order_with_their_multipliers() -> None:
    net = net_of(
        dense(
            inner_product("a", "data", "a", 7, "param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }"),
            norm("n", "a", "a"),
            inner_product("b", "a", "b", 5),
            softmax_loss("b"),
        )
    )
    assert [(blob.layer, blob.name, blob.lr_mult, blob.decay_mult) for blob in net.learned] == [
        ("a", "weight", 1, 1),
        ("a", "bias", 2, 0),
        ("n", "mean", 0, 1),
        ("n", "variance", 0, 1),
        ("n", "factor", 0, 1),
        ("n/scale", "scale", 1, 1),
        ("n/scale", "bias", 1, 1),
        ("b", "weight", 1, 1),
        ("b", "bias", 1, 1),
    ]


def test_blobs_that_do_not_learn_get_no_gradient() -> None:
    net = net_of(dense(inner_product("a", "data", "a", 5, "param { lr_mult: 0 }"), softmax_loss("a")))
    weight, bias = net.layers[1].tensors
    assert (weight.requires_grad, bias.requires_grad) == (False, True)


def test_a_shared_blob_is_one_tensor_whose_gradients_add_up() -> None:
    shared = 'param { name: "w" lr_mult: 3 } param { name: "b" }'
    net = net_of(
        dense(
            inner_product("in", "data", "x", 7),
            inner_product("a", "x", "a", 7, 'param { name: "w" } param { name: "b" }'),
            inner_product("b", "a", "b", 7, shared),
            softmax_loss("b"),
        )
    )
    first, second = net.layers[2], net.layers[3]
    assert first.tensors[0] is second.tensors[0]
    assert [blob.layer for blob in net.learned] == ["in", "in", "a", "a"]
    assert net.learned[2].lr_mult == 3  # the first sharer that writes it


def test_permissive_sharing_sees_the_same_values_in_another_shape() -> None:
    text = dense(
        inner_product("a", "data", "a", 7, 'param { name: "w" }'),
        layer(
            "b",
            "InnerProduct",
            "data",
            "b",
            'param { name: "w" share_mode: PERMISSIVE } '
            'inner_product_param { num_output: 7 transpose: true weight_filler { type: "msra" } }',
        ),
        layer("aux", "SoftmaxWithLoss", "a label", "aux"),
        softmax_loss("b"),
    )
    net = net_of(text)
    owner, sharer = net.layers[1].tensors[0], net.layers[2].tensors[0]
    assert (tuple(owner.shape), tuple(sharer.shape)) == ((7, 105), (105, 7))
    owner.data.view(-1)[3] = 77
    assert sharer.detach().view(-1)[3] == 77
    assert len(net.learned[0].tensors) == 2


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ('param { name: "w" lr_mult: 1 }', 'param { name: "w" lr_mult: 2 }', "'w' has lr_mult 2 here and 1"),
        (
            'param { name: "w" decay_mult: 1 }',
            'param { name: "w" decay_mult: 0 }',
            "'w' has decay_mult 0 here and 1 in layer 'a'",
        ),
        (
            'param { name: "w" }',
            'param { name: "w" } ',
            "cannot share param 'w' with layer 'a'.*7 x 7.*7 x 105",
        ),
    ],
)
def test_sharers_that_disagree_are_refused(first: str, second: str, words: str) -> None:
    bottom = "a" if "lr" not in first and "decay" not in first else "data"
    with pytest.raises(NetError, match=words) as caught:
        net_of(
            dense(
                inner_product("a", "data", "a", 7, first),
                inner_product("b", bottom, "b", 7, second),
                softmax_loss("b"),
            )
        )
    assert caught.value.layer == "b"


def test_the_seed_decides_the_fillers() -> None:
    one, same, other = net_of(SMALL, seed=5), net_of(SMALL, seed=5), net_of(SMALL, seed=6)
    for left, right, third in zip(one.arrays(), same.arrays(), other.arrays(), strict=True):
        for index, array in enumerate(left.arrays):
            np.testing.assert_array_equal(array, right.arrays[index])
            assert (array != third.arrays[index]).any()


def test_a_net_without_seed_begins_with_zeros() -> None:
    assert not any(array.any() for one in net_of(SMALL, seed=None).arrays() for array in one.arrays)


def test_blobs_written_in_the_file_are_taken() -> None:
    blobs = (
        "blobs { shape { dim: 2 dim: 3 } data: 1 data: 2 data: 3 data: 4 data: 5 data: 6 }"
        " blobs { shape { dim: 2 } data: 7 data: 8 }"
    )
    text = layer("in", "Input", "", "data", "input_param { shape { dim: 1 dim: 3 } }") + inner_product(
        "a", "data", "a", 2, blobs
    )
    weight, bias = net_of(text).layers[1].tensors
    assert weight.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert bias.tolist() == [7, 8]
    with pytest.raises(NetError, match=r"layer 'a': the blobs written.*expected 3 x 3, 3"):
        net_of(text.replace("num_output: 2", "num_output: 3"))


def test_weights_go_by_name_and_come_back() -> None:
    source, target = net_of(SMALL, seed=1), net_of(SMALL.replace('"ip2"', '"fresh"'), seed=2)
    before = {one.name: one.arrays for one in target.arrays()}
    plan = target.load(source.arrays())
    assert [name for name, _ in plan.copied] == ["conv1", "ip1"]
    assert (plan.new, plan.skipped) == (("fresh",), ("ip2",))
    after = {one.name: one.arrays for one in target.arrays()}
    for one in source.arrays():
        if one.name in after and one.arrays:
            np.testing.assert_array_equal(after[one.name][0], one.arrays[0])
    np.testing.assert_array_equal(after["fresh"][0], before["fresh"][0])


def test_arrays_have_caffes_shapes_whatever_the_memory_order() -> None:
    net = net_of(SMALL)
    before = net.arrays()
    FusedExecutor(net, channels_last=True)
    conv = net.layers[1]
    conv.tensors[0].data = conv.tensors[0].data.contiguous(memory_format=torch.channels_last)
    after = net.arrays()
    assert [one.name for one in after] == [one.name for one in net.layers]
    assert after[1].arrays[0].flags.c_contiguous
    np.testing.assert_array_equal(after[1].arrays[0], before[1].arrays[0])
    assert (after[1].type, after[1].bottoms, after[1].tops) == ("Convolution", ("data",), ("conv1",))


def test_a_test_net_uses_the_train_nets_tensors() -> None:
    train, test = net_of(SMALL), net_of(SMALL, phase="TEST", seed=None)
    test.share(train)
    train.layers[1].tensors[0].data.fill_(0.5)
    assert float(test.layers[1].tensors[0].detach().min()) == 0.5
    feeds = batch(train)
    ours = FusedExecutor(train).forward(feeds).outputs["loss"]
    torch.testing.assert_close(FusedExecutor(test).forward(feeds).outputs["loss"], ours)


def test_a_test_net_begins_with_fillers_where_the_train_net_has_nothing() -> None:
    tied = 'param { name: "w" } param { name: "b" }'
    train = net_of(dense(inner_product("a", "data", "a", 7), softmax_loss("a")))
    text = dense(
        inner_product("a", "data", "a", 7, tied),
        inner_product("own", "a", "own", 5),
        inner_product("twin", "data", "twin", 7, tied),
        softmax_loss("own"),
    )
    alone, test = net_of(text, phase="TEST", seed=5), net_of(text, phase="TEST", seed=5, shares=train)
    test.share(train)
    a, own, twin = test.layers[1:4]
    assert a.tensors[0] is train.layers[1].tensors[0]
    assert own.tensors[0].detach().any()
    # Caffe: what shares a param within the net stays with the net's own filler.
    np.testing.assert_array_equal(
        twin.tensors[0].detach().numpy(), alone.layers[1].tensors[0].detach().numpy()
    )


def test_what_another_net_brings_is_not_filled() -> None:
    train = net_of(SMALL)
    test = net_of(SMALL, phase="TEST", seed=5, shares=train)
    assert not any(array.any() for one in test.arrays() for array in one.arrays)


def test_sharing_with_another_shape_is_refused() -> None:
    other = net_of(SMALL.replace("num_output: 11", "num_output: 13"), phase="TEST")
    with pytest.raises(WeightsError, match=r"layer 'ip1'.*13 x .*11 x "):
        other.share(net_of(SMALL))


def test_loading_another_shape_is_refused() -> None:
    arrays = (np.zeros((7, 2, 5, 5), np.float32), np.zeros(7, np.float32))
    wrong = LayerArrays(name="conv1", type="Convolution", bottoms=(), tops=(), arrays=arrays)
    with pytest.raises(WeightsError, match="conv1"):
        net_of(SMALL).load([wrong])


def test_outputs_are_in_byte_order_with_their_loss_weights() -> None:
    text = (
        dense(inner_product("a", "data", "a", 5))
        + layer("z", "SoftmaxWithLoss", "a label", "Zeta", "loss_weight: 0.25")
        + layer("y", "Accuracy", "a label", "accuracy")
        + layer("silent", "SoftmaxWithLoss", "a label", "")
    )
    net = net_of(text)
    assert [(output.value.blob, output.weight) for output in net.outputs] == [("Zeta", 0.25), ("accuracy", 0)]
    result = FusedExecutor(net).forward(batch(net))
    # the loss without a top counts with weight 1
    assert float(result.loss) == pytest.approx(1.25 * float(result.outputs["Zeta"]), rel=1e-6)


def test_outputs_come_with_the_blobs_asked_for() -> None:
    net = net_of(SMALL)
    result = FusedExecutor(net, keep=("ip1", "conv1")).forward(batch(net))
    assert list(result.outputs) == ["accuracy", "loss", "ip1", "conv1"]
    assert float(result.outputs["ip1"].min()) >= 0  # after its in-place ReLU
    with pytest.raises(NetError, match="no blob 'ip3'; did you mean"):
        FusedExecutor(net, keep=("ip3",))


def test_bf16_is_close_and_its_loss_is_fp32() -> None:
    net = net_of(SMALL)
    feeds = batch(net)
    exact, rough = FusedExecutor(net).forward(feeds), FusedExecutor(net, precision="bf16").forward(feeds)
    assert rough.loss.dtype == torch.float32
    assert float(rough.loss) != float(exact.loss)
    torch.testing.assert_close(rough.loss, exact.loss, rtol=0.05, atol=0)
