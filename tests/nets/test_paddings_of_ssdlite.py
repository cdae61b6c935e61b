"""SSDLite's ways to pad: TensorFlow's rule made of Slice layers, or by the fork's field, is one net; Caffe's another."""

from __future__ import annotations

import numpy as np
import torch

from caffeflow.engine.net import Net
from caffeflow.engine.synthetic import synthetic_feeds
from caffeflow.engine.training import FusedExecutor
from caffeflow.proto.caffe_pb2 import FillerParameter
from caffeflow.weights.initial import initial_arrays
from caffeflow.workflows.open_net import Ask, open_net

# Maps with heads, which have no BatchNorm before them: untrained, it would amplify rounding.
OUTPUTS = ("conv_13/expand", "Conv_1", "layer_19_2_5")


def computed(padding: str, size: str) -> dict[str, torch.Tensor]:
    asked = {"padding": padding, "input_size": size, "width": "0.35"}
    opened = open_net(Ask(net="ssdlite-voc", assignments=asked))
    net = Net(opened.graph, opened.shapes(), seed=None)
    # Fillers go by the layers in order, which are the same; their seed makes the same weights.
    net.load(initial_arrays(opened.shapes(), seed=3, instead_of_zeros=FillerParameter(type="msra")))
    return dict(FusedExecutor(net, keep=OUTPUTS).forward(synthetic_feeds(net, seed=9)).outputs)


def test_slices_and_tf_pad_compute_the_same_and_caffe_s_padding_does_not() -> None:
    for size in ("161x322", "160x98"):  # odd and even sides on the way down, on either axis
        found = {padding: computed(padding, size) for padding in ("slice", "tf", "caffe")}
        for name in OUTPUTS:
            sliced, tf, caffe = (found[padding][name].numpy() for padding in ("slice", "tf", "caffe"))
            largest = np.abs(sliced).max()
            np.testing.assert_allclose(tf, sliced, rtol=0, atol=1e-4 * largest)
            assert np.abs(caffe - sliced).max() > 1e-2 * largest
