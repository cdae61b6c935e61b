"""Coordinate maps: worked by hand, and what is refused."""

# ruff: noqa: C408 - dict(…) is how nets are written so

from __future__ import annotations

import numpy as np
import pytest

from caffeflow.pycaffe.coord_map import (
    AxisMismatchException,
    UndefinedMapException,
    coord_map,
    coord_map_from_to,
    crop,
)
from caffeflow.pycaffe.net_spec import NetSpec
from caffeflow.pycaffe.net_spec import layers as L


def spec(*, pool: int = 2, up: int = 2, pad: int = 0, cut: int = 0) -> NetSpec:
    n = NetSpec()
    n.data = L.Input(shape=dict(dim=[2, 1, 97, 89]))
    n.conv = L.Convolution(n.data, num_output=7, kernel_size=3, pad=pad)
    n.pool = L.Pooling(n.conv, kernel_size=pool, stride=pool)
    n.deconv = L.Deconvolution(
        n.pool, convolution_param=dict(num_output=7, kernel_size=2 * up, stride=up, pad=cut)
    )
    return n


def test_pooling_and_deconvolution_cancel_out() -> None:
    n = spec()
    assert coord_map_from_to(n.deconv, n.data) == (1, 1, 0)
    n = spec(pool=4, up=4)
    assert coord_map_from_to(n.deconv, n.data) == (1, 1, -1)


def test_padding_shifts_and_that_of_deconvolution_shifts_back() -> None:
    n = spec(pad=3)
    assert coord_map_from_to(n.deconv, n.data) == (1, 1, -3)
    n = spec(cut=3)
    assert coord_map_from_to(n.deconv, n.data) == (1, 1, 3)


def test_layers_by_element_keep_coordinates() -> None:
    n = spec(pad=3)
    n.sum = L.Eltwise(L.ReLU(n.deconv), L.Dropout(n.deconv))
    assert coord_map_from_to(n.sum, n.data) == coord_map_from_to(n.deconv, n.data)


def test_crop_writes_its_layer() -> None:
    n = spec(pad=3)
    n.cropped = crop(n.deconv, n.data)
    layer = n.to_proto().layer[-1]
    assert (layer.name, layer.type, list(layer.bottom)) == ("cropped", "Crop", ["deconv", "data"])
    assert (layer.crop_param.axis, list(layer.crop_param.offset)) == (2, [3])
    assert coord_map_from_to(n.cropped, n.data) == (1, 1, 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(pool=3, up=2), "differ in scale"),
        (dict(cut=10), "begin outside"),
        (dict(pool=3, up=3), "between pixels"),
    ],
)
def test_impossible_crops_are_assertions(settings: dict[str, int], message: str) -> None:
    n = spec(**settings)
    with pytest.raises(AssertionError, match=message):
        crop(n.deconv, n.data)


def test_unconnected_tops_are_named() -> None:
    n = spec()
    n.ip = L.InnerProduct(n.deconv, num_output=10)
    with pytest.raises(RuntimeError, match="InnerProduct and Input"):
        coord_map_from_to(n.ip, n.data)
    with pytest.raises(UndefinedMapException, match="InnerProduct"):
        coord_map(n.ip.fn)


def test_windows_given_by_height_and_width_are_refused() -> None:
    data = L.Input(shape=dict(dim=[1, 1, 9, 9]))
    with pytest.raises(AssertionError, match=r"Convolution gives kernel_h, kernel_w"):
        coord_map_from_to(L.Convolution(data, num_output=1, kernel_h=3, kernel_w=5), data)


def test_global_pooling_has_no_map() -> None:
    data = L.Input(shape=dict(dim=[1, 1, 9, 9]))
    with pytest.raises(RuntimeError, match="Pooling and Input"):
        coord_map_from_to(L.Pooling(data, pool=1, global_pooling=True), data)


def test_axes_that_differ_are_named() -> None:
    data = L.Input(shape=dict(dim=[1, 1, 9, 9]))
    conv = L.Convolution(data, num_output=1, kernel_size=3, axis=2)
    with pytest.raises(AxisMismatchException, match="from 1 and from 2"):
        coord_map_from_to(L.Convolution(conv, num_output=1, kernel_size=3), data)


def test_crop_without_a_layer_between_is_refused() -> None:
    data = L.Input(shape=dict(dim=[1, 1, 9, 9]))
    with pytest.raises(UndefinedMapException, match="axis"):
        crop(L.ReLU(data), data)


def test_each_axis_has_its_own_numbers() -> None:
    data = L.Input(shape=dict(dim=[1, 3, 100, 100, 100]))
    conv = L.Convolution(data, num_output=1, kernel_size=[3, 3, 5], stride=[1, 2, 3], pad=[0, 1, 2])
    axis, scale, shift = coord_map_from_to(conv, data)
    assert axis == 1
    np.testing.assert_allclose(scale, [1, 2, 3])
    np.testing.assert_allclose(shift, [1, 0, 0])
