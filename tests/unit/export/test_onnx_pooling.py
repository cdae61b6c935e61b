"""Pooling as ONNX over a sweep of sizes, kernels, strides and pads, against loops."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from caffeflow.errors import UnsupportedLayerError
from caffeflow.export.onnx_export import export_onnx
from caffeflow.export.onnx_run import run_onnx
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.text import parse
from tests.support.oracles.pooling import average, maximum

KERNELS = [(1, 2), (2, 3), (3, 3), (3, 1)]
STRIDES = [(1, 2), (2, 1), (3, 2)]
PADS = [(0, 0), (0, 1), (1, 0), (2, 2)]
SETTINGS = [
    (kernel, stride, pad)
    for kernel, stride, pad in product(KERNELS, STRIDES, PADS)
    if all(p < k for p, k in zip(pad, kernel, strict=True))
]


def pooling(method: str, size, kernel, stride, pad, *, floor: bool = False) -> NetParameter:
    """Returns a net of one pooling."""
    text = f"""
      layer {{ name: "data" type: "Input" top: "data"
               input_param {{ shape {{ dim: 2 dim: 3 dim: {size[0]} dim: {size[1]} }} }} }}
      layer {{ name: "pool" type: "Pooling" bottom: "data" top: "pool" pooling_param {{ pool: {method}
               kernel_h: {kernel[0]} kernel_w: {kernel[1]} stride_h: {stride[0]} stride_w: {stride[1]}
               pad_h: {pad[0]} pad_w: {pad[1]} round_mode: {"FLOOR" if floor else "CEIL"} }} }}"""
    return parse(text, NetParameter(), source="<pooling>")


def test_the_sweep_is_whole() -> None:
    assert len(SETTINGS) == 33


@pytest.mark.parametrize("size", [(7, 5), (6, 7), (3, 11)])
@pytest.mark.parametrize("floor", [False, True], ids=["ceil", "floor"])
@pytest.mark.parametrize(("kernel", "stride", "pad"), SETTINGS)
def test_pooling_equals_loops(kernel, stride, pad, floor: bool, size) -> None:
    x = np.random.default_rng(3).standard_normal((2, 3, *size)).astype(np.float32)
    settings = {"kernel": kernel, "stride": stride, "pad": pad, "floor": floor}
    expected = {"MAX": maximum(x, **settings)[0], "AVE": average(x.astype(np.float64), **settings)}
    for method, wanted in expected.items():
        net = pooling(method, size, kernel, stride, pad, floor=floor)
        if np.isnan(wanted).any():
            with pytest.raises(UnsupportedLayerError, match="Caffe divides by 0 there; use less stride"):
                export_onnx(net, [])
            continue
        exported = export_onnx(net, [])
        found = run_onnx(b"".join(exported.pieces()), {"data": x})["pool"]
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6 * np.abs(wanted[wanted > -1e30]).max())


def test_no_tool_has_to_know_what_ceil_mode_means() -> None:
    exported = export_onnx(pooling("MAX", (6, 7), (3, 3), (2, 2), (0, 0)), [])
    (node,) = exported.frame.graph.node
    attributes = {attribute.name: list(attribute.ints) for attribute in node.attribute}
    assert attributes == {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 0]}


def test_caffes_own_padding_is_kept_where_rounding_down_gives_its_size() -> None:
    exported = export_onnx(pooling("MAX", (7, 7), (3, 3), (2, 2), (1, 1)), [])
    (node,) = exported.frame.graph.node
    (pads,) = (list(attribute.ints) for attribute in node.attribute if attribute.name == "pads")
    assert pads == [1, 1, 1, 1]


def test_a_maximum_over_nothing_has_no_place() -> None:
    net = pooling("MAX", (5, 6), (3, 1), (2, 4), (0, 0))
    net.layer[1].top.append("places")
    with pytest.raises(
        UnsupportedLayerError, match=r"layer 'pool': .* has no place to name; use less stride"
    ):
        export_onnx(net, [])
