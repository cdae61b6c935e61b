"""Weights on their way into ONNX: by name, whole, finite."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from caffeflow.errors import WeightsError
from caffeflow.export.onnx_export import export_onnx
from caffeflow.proto.binary import LayerArrays, array_to_blob
from tests.support.engine_nets import convolution, inner_product
from tests.support.onnx_nets import images, message_of, weights_of

TEXT = images(2, 3, 5, 7) + convolution("conv", "data", "conv", 2, 3) + inner_product("fc", "conv", "fc", 5)


def test_a_layer_that_the_file_lacks_is_named() -> None:
    conv, _ = weights_of(TEXT)
    with pytest.raises(
        WeightsError, match=r"no layer 'fc', which the net learns \(1 of 2 layers are missing\)"
    ):
        export_onnx(message_of(TEXT), [conv])


def test_other_shapes_are_named() -> None:
    conv, fc = weights_of(TEXT)
    wrong = replace(fc, arrays=(fc.arrays[0][:, :-1], fc.arrays[1]))
    with pytest.raises(
        WeightsError, match=r"layer 'fc': blob 0 is 5 29 \(145\) in the file and 5 30 \(150\)"
    ):
        export_onnx(message_of(TEXT), [conv, wrong])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_named(value: float) -> None:
    conv, fc = weights_of(TEXT)
    fc.arrays[1][2:4] = value
    with pytest.raises(WeightsError, match=r"layer 'fc': 2 of 5 values of its bias are nan or infinite"):
        export_onnx(message_of(TEXT), [conv, fc])


def test_a_layer_that_is_not_in_the_net_is_reported() -> None:
    other = LayerArrays("fc8", "InnerProduct", (), (), (np.ones((2, 3), np.float32),))
    assert export_onnx(message_of(TEXT), [*weights_of(TEXT), other]).unused == ("fc8",)


def test_blobs_that_stand_in_the_prototxt_need_no_file() -> None:
    conv, fc = weights_of(TEXT)
    net = message_of(TEXT)
    net.layer[2].blobs.extend(array_to_blob(array) for array in fc.arrays)
    made = export_onnx(net, [conv])
    np.testing.assert_array_equal(made.weights["fc/weight"], fc.arrays[0])
    del net.layer[2].blobs[1]
    with pytest.raises(WeightsError, match="layer 'fc': the blobs written in the file do not fit"):
        export_onnx(net, [conv])


def test_old_four_dimensional_blobs_fit() -> None:
    conv, fc = weights_of(TEXT)
    old = replace(fc, arrays=(fc.arrays[0].reshape(1, 1, 5, 30), fc.arrays[1].reshape(1, 1, 1, 5)))
    made = export_onnx(message_of(TEXT), [conv, old])
    np.testing.assert_array_equal(made.weights["fc/weight"], fc.arrays[0])
