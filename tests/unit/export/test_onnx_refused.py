"""Nets that ONNX cannot say, and batch sizes that cannot be left open: refused with the layer and a way out."""

from __future__ import annotations

import pytest

from caffeflow.errors import NetError, UnsupportedLayerError
from tests.support.engine_nets import inner_product, layer
from tests.support.onnx_nets import assert_same, export, images

DATA = images(2, 3, 5, 7)


def test_a_loss_is_refused() -> None:
    text = DATA + images(2, name="label") + inner_product("fc", "data", "fc", 3)
    with pytest.raises(
        UnsupportedLayerError, match=r"layer 'loss': type 'SoftmaxWithLoss' is a loss.*deploy file"
    ):
        export(text + layer("loss", "SoftmaxWithLoss", "fc label", "loss"))


def test_made_up_data_is_refused() -> None:
    data = layer("data", "DummyData", "", "data", "dummy_data_param { shape { dim: 2 dim: 3 } }")
    with pytest.raises(UnsupportedLayerError, match=r"layer 'data': type 'DummyData' makes its values up"):
        export(data + layer("abs", "AbsVal", "data", "abs"))


def test_dropout_in_a_phase_of_its_own_is_refused() -> None:
    with pytest.raises(UnsupportedLayerError, match=r"layer 'drop': .*its own phase is TRAIN"):
        export(DATA + layer("drop", "Dropout", "data", "drop", "phase: TRAIN"))


def test_a_drawn_value_is_refused() -> None:
    drawn = layer("pool", "Pooling", "data", "pool", "pooling_param { pool: STOCHASTIC kernel_size: 2 }")
    with pytest.raises(UnsupportedLayerError, match=r"layer 'pool': .*stochastic pooling.*AVE or MAX"):
        export(DATA + drawn)


@pytest.mark.parametrize(
    ("behind", "why"),
    [
        (
            layer("l", "Reshape", "data", "y", "reshape_param { shape { dim: 2 dim: 105 } }"),
            "does not work with another batch size .*count must match",
        ),
        (
            layer("l", "InnerProduct", "data", "y", "inner_product_param { num_output: 3 axis: 0 }"),
            "learned blobs",
        ),
        (layer("l", "Slice", "data", "y z", "slice_param { axis: 0 slice_point: 1 }"), "it cuts the batch"),
        (layer("l", "ArgMax", "data", "y", "argmax_param { axis: 0 }"), "it looks along the batch"),
        (layer("l", "Crop", "data data", "y", "crop_param { axis: 0 }"), "it cuts the batch"),
    ],
    ids=["reshape", "inner product", "slice", "argmax", "crop"],
)
def test_a_batch_size_that_a_layer_depends_on_cannot_be_left_open(behind: str, why: str) -> None:
    assert_same(DATA + behind)
    with pytest.raises(NetError, match=f"^layer 'l': .*{why}.*export it without --dynamic-batch"):
        export(DATA + behind, dynamic_batch=True)


def test_inputs_of_another_size_than_the_batch_keep_it() -> None:
    text = (
        DATA
        + images(3, name="factor")
        + layer("scale", "Scale", "data factor", "y", "scale_param { axis: 1 }")
    )
    made = export(text, dynamic_batch=True)
    assert made.inputs == {"data": (-1, 3, 5, 7), "factor": (3,)}
    assert made.outputs == {"y": (-1, 3, 5, 7)}
    assert_same(text, dynamic_batch=True)
