"""`Classifier`: the real one's scores for the same pictures and weights, ten crops and the middle."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import pytest

from caffeflow.proto.binary import LayerArrays, write_caffemodel
from caffeflow.pycaffe import Classifier
from tests.support.native import NativeCaffe, Report
from tests.support.native_pycaffe import ask_pycaffe

pytestmark = pytest.mark.native

_NET: Final = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 7 dim: 3 dim: 11 dim: 13 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 5 kernel_size: 3 stride: 2 } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 5 } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
"""
_PREDICT: Final = """
import skimage.transform
caffe.io.resize = lambda image, dims, order, mode: skimage.transform.resize(
    image, dims, order=order, mode=mode, anti_aliasing=False)
pictures = [given['first'], given['second'], given['third']]
net = caffe.Classifier({net!r}, {weights!r}, image_dims=(16, 17), mean=given['mean'], raw_scale=255,
                       channel_swap=(2, 1, 0), input_scale=0.017)
out['ten crops'] = net.predict(pictures)
out['middle'] = net.predict(pictures, oversample=False)
"""


def test_scores_are_equal(caffe: NativeCaffe, tmp_path: Path, report: Report) -> None:
    random = np.random.default_rng(11)
    net, weights = tmp_path / "deploy.prototxt", tmp_path / "small.caffemodel"
    net.write_text(_NET)
    write_caffemodel(weights, name="small", layers=_layers(random))
    given = {
        "first": random.uniform(0, 1, (23, 29, 3)).astype(np.float32),
        "second": random.uniform(0, 1, (16, 17, 3)).astype(np.float32),
        "third": random.uniform(0, 1, (7, 31, 3)).astype(np.float32),
        "mean": random.uniform(90, 130, 3),
    }
    answers = ask_pycaffe(caffe, _PREDICT.format(net=str(net), weights=str(weights)), tmp_path, given)
    mine = Classifier(
        net, weights, image_dims=(16, 17), mean=given["mean"], raw_scale=255, channel_swap=(2, 1, 0),
        input_scale=0.017,
    )  # fmt: skip
    pictures = [given["first"], given["second"], given["third"]]
    scores = {"ten crops": mine.predict(pictures), "middle": mine.predict(pictures, oversample=False)}
    assert scores.keys() == answers.keys()
    for name, answer in answers.items():
        assert scores[name].shape == answer.shape == (3, 5)
        np.testing.assert_allclose(scores[name], answer, atol=1e-5, err_msg=name)
    worst = max(float(np.abs(scores[name] - answer).max()) for name, answer in answers.items())
    report("pycaffe: Classifier, worst difference of a probability", f"{worst:.1e}")


def _layers(random: np.random.Generator) -> list[LayerArrays]:
    shapes = {"conv": ("Convolution", (5, 3, 3, 3), (5,)), "ip": ("InnerProduct", (5, 150), (5,))}
    return [
        LayerArrays(
            name=name,
            type=kind,
            bottoms=(),
            tops=(),
            arrays=tuple((0.3 * random.standard_normal(shape)).astype(np.float32) for shape in each),
        )
        for name, (kind, *each) in shapes.items()
    ]
