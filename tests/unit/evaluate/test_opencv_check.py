from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffeflow.errors import CheckError
from caffeflow.evaluate.opencv_check import find_obstacle, run_opencv
from caffeflow.layers.inference import NetShapes, infer
from caffeflow.proto.binary import LayerArrays, write_caffemodel
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import parse

RNG = np.random.default_rng(3)


def net_text(height: int, width: int, *layers: str) -> str:
    shape = f"shape {{ dim: 1 dim: 6 dim: {height} dim: {width} }}"
    return f'layer {{ name: "data" type: "Input" top: "data" input_param {{ {shape} }} }}' + "".join(layers)


def layer(name: str, type_: str, bottom: str, top: str, settings: str = "") -> str:
    return f'layer {{ name: "{name}" type: "{type_}" bottom: "{bottom}" top: "{top}" {settings} }}'


def shapes_of(text: str) -> NetShapes:
    return infer(build_graph(filter_net(parse(text, NetParameter(), source="net"), net_state("TEST"))))


def dw(kernel: int, *, group: int = 6) -> str:
    settings = f"num_output: 6 group: {group} kernel_size: {kernel} pad: {kernel // 2}"
    return layer("dw", "Convolution", "data", "dw", f"convolution_param {{ {settings} }}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (net_text(5, 7, dw(3)), None),
        (net_text(1, 1, dw(1)), None),
        (net_text(1, 1, dw(3, group=2)), None),
        (net_text(1, 7, dw(3)), "side"),
        (net_text(5, 1, dw(3)), "side"),
        (net_text(5, 7, layer("clip", "Clip", "data", "clip", "clip_param { min: 0 max: 6 }")), "Clip"),
        (
            net_text(
                5,
                7,
                layer("dw", "DepthwiseConvolution", "data", "dw", "convolution_param { kernel_size: 3 }"),
            ),
            "DepthwiseConvolution",
        ),
        (
            net_text(
                5, 7, layer("p", "Pooling", "data", "p", "pooling_param { kernel_size: 2 round_mode: FLOOR }")
            ),
            "round_mode",
        ),
        (
            net_text(
                5,
                7,
                layer(
                    "c",
                    "Convolution",
                    "data",
                    "c",
                    "convolution_param { num_output: 2 kernel_size: 3 pad: 1 stride: 2 tf_pad: SAME }",
                ),
            ),
            "no tf_pad in convolution_param",
        ),
        (
            net_text(
                5,
                7,
                layer(
                    "p",
                    "PriorBox",
                    "data",
                    "p",
                    "prior_box_param { min_size: 3 img_size: 9 reduce_boxes: true }",
                ),
            ),
            "no reduce_boxes in prior_box_param",
        ),
        (
            'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 2 dim: 3 } } }',
            "deploy file",
        ),
    ],
)
def test_obstacles_name_the_layer_and_the_reason(text: str, expected: str | None) -> None:
    obstacle = find_obstacle(shapes_of(text))
    if expected is None:
        assert obstacle is None
    else:
        assert obstacle is not None
        assert expected in obstacle
        assert "(layer '" in obstacle


def write_net(folder: Path, text: str, layers: list[LayerArrays]) -> tuple[Path, Path]:
    (folder / "net.prototxt").write_text(text)
    write_caffemodel(folder / "net.caffemodel", name="net", layers=layers)
    return folder / "net.prototxt", folder / "net.caffemodel"


def test_a_layer_before_the_last_can_be_asked_for(tmp_path: Path) -> None:
    weight = RNG.normal(size=(5, 6 * 3 * 2)).astype(np.float32)
    bias = RNG.normal(size=5).astype(np.float32)
    text = net_text(
        3, 2,
        layer("ip", "InnerProduct", "data", "ip", "inner_product_param { num_output: 5 }"),
        layer("relu", "ReLU", "ip", "ip"),
        layer("prob", "Softmax", "ip", "prob"),
    )  # fmt: skip
    files = write_net(tmp_path, text, [LayerArrays("ip", "InnerProduct", ("data",), ("ip",), (weight, bias))])
    image = RNG.normal(size=(1, 6, 3, 2)).astype(np.float32)
    product = image.reshape(1, -1) @ weight.T + bias

    found = run_opencv(*files, inputs={"data": image}, layer="ip")
    np.testing.assert_allclose(found, product, rtol=1e-5, atol=1e-5)
    found = run_opencv(*files, inputs={"data": image}, layer="relu")
    np.testing.assert_allclose(found, np.maximum(product, 0), rtol=1e-5, atol=1e-5)


def test_what_opencv_refuses_is_a_failed_check(tmp_path: Path) -> None:
    text = net_text(5, 7, layer("clip", "Clip", "data", "clip", "clip_param { min: 0 max: 6 }"))
    files = write_net(tmp_path, text, [LayerArrays("clip", "Clip", ("data",), ("clip",), ())])
    with pytest.raises(CheckError, match=r"net\.prototxt.*Clip"):
        run_opencv(*files, inputs={"data": np.zeros((1, 6, 5, 7), np.float32)}, layer="clip")
