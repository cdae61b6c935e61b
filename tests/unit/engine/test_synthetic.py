from __future__ import annotations

import torch

from caffeflow.engine.net import Net
from caffeflow.engine.synthetic import synthetic_feeds, synthetic_images
from caffeflow.layers.inference import infer
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import parse

TRAIN_NET = """
layer { name: "data" type: "Data" top: "data" top: "label" data_param { source: "nowhere" batch_size: 30 }
  transform_param { crop_size: 11 scale: 0.5 mean_value: 100 mean_value: 110 mean_value: 120 } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 7 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""


def net_of(text: str) -> Net:
    graph = build_graph(filter_net(parse(text, NetParameter(), source="net"), net_state("TRAIN")))
    return Net(graph, infer(graph, record_shape=lambda _: (3, 13, 17)))


def test_images_are_as_the_data_layer_would_make_them() -> None:
    data, _ = synthetic_feeds(net_of(TRAIN_NET), seed=1)["data"]
    assert data.shape == (30, 3, 11, 11)
    for channel, mean in enumerate((100, 110, 120)):
        pixels = data[:, channel] / 0.5 + mean
        assert 0 <= pixels.min() < 60
        assert 200 < pixels.max() <= 255


def test_labels_are_classes_of_the_net() -> None:
    _, label = synthetic_feeds(net_of(TRAIN_NET), seed=1)["data"]
    assert label.shape == (30,)
    assert label.dtype == torch.float32
    assert set(label.tolist()) <= set(range(7))
    assert len(set(label.tolist())) > 3


def test_labels_that_nothing_counts_are_zero() -> None:
    text = TRAIN_NET.replace("SoftmaxWithLoss", "EuclideanLoss").replace("num_output: 7", "num_output: 1")
    _, label = synthetic_feeds(net_of(text), seed=1)["data"]
    assert not label.any()


def test_a_seed_gives_the_same_batch_again() -> None:
    net = net_of(TRAIN_NET)
    first, again, other = (synthetic_feeds(net, seed=seed)["data"][0] for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_inputs_are_centred_whatever_their_axes() -> None:
    net = net_of(
        'layer { name: "in" type: "Input" top: "image" top: "vector" top: "one" input_param {'
        " shape { dim: 5 dim: 2 dim: 13 dim: 11 } shape { dim: 50 dim: 7 } shape { dim: 100 } } }"
    )
    image, vector, one = synthetic_feeds(net, seed=3)["in"]
    assert (image.shape, vector.shape, one.shape) == ((5, 2, 13, 11), (50, 7), (100,))
    assert all(abs(float(tensor.mean())) < 40 for tensor in (image, vector, one))


def test_images_differ_from_each_other_after_pooling() -> None:
    images = synthetic_images((8, 3, 32, 32), torch.Generator().manual_seed(5))
    assert float(images.mean(dim=(2, 3)).std(dim=0).min()) > 5


DETECTION_NET = """
layer { name: "data" type: "AnnotatedData" top: "data" top: "label" data_param { source: "nowhere" batch_size: 5 }
  transform_param { scale: 0.5 mean_value: 100 resize_param { prob: 1 resize_mode: WARP height: 11 width: 13 } } }
layer { name: "quiet" type: "Silence" bottom: "data" bottom: "label" }
"""


def test_every_image_has_boxes_where_boxes_are_read() -> None:
    data, truth = synthetic_feeds(net_of(DETECTION_NET), seed=1)["data"]
    assert data.shape == (5, 3, 11, 13)
    assert -50 <= data.min() < 0 < data.max() <= 78
    assert truth.shape == (1, 1, 15, 8)
    item, label, instance, xmin, ymin, xmax, ymax, difficult = truth.view(-1, 8).unbind(1)
    assert item.tolist() == [image for image in range(5) for _ in range(3)]
    assert instance.tolist() == [0, 1, 2] * 5
    assert label.unique().tolist() == [1]
    assert not difficult.any()
    for low, high in ((xmin, xmax), (ymin, ymax)):
        assert (low >= 0).all()
        assert (high <= 1).all()
        assert (high - low > 0.1).all()


def test_whole_numbers_are_such_as_their_readers_know() -> None:
    net = net_of("""
layer { name: "in" type: "Input" top: "x" top: "rows" top: "kept" top: "words" top: "kinds" input_param {
  shape { dim: 50 dim: 3 } shape { dim: 50 } shape { dim: 50 } shape { dim: 50 } shape { dim: 50 } } }
layer { name: "reindex" type: "BatchReindex" bottom: "x" bottom: "rows" top: "y" }
layer { name: "filter" type: "Filter" bottom: "x" bottom: "kept" top: "z" }
layer { name: "embed" type: "Embed" bottom: "words" top: "e" embed_param { input_dim: 5 num_output: 3 } }
layer { name: "loss" type: "ContrastiveLoss" bottom: "y" bottom: "e" bottom: "kinds" top: "loss" }
layer { name: "hinge" type: "HingeLoss" bottom: "y" bottom: "kept" top: "hinge" }
""")
    x, rows, kept, words, kinds = synthetic_feeds(net, seed=1)["in"]
    assert not torch.equal(x, x.round())
    for values, known in ((rows, 50), (kept, 2), (words, 5), (kinds, 2)):
        assert set(values.tolist()) <= set(range(known))
        assert len(set(values.tolist())) >= min(known, 20)


RECURRENT_NET = """
layer { name: "in" type: "Input" top: "x" top: "cont" top: "c" top: "gates" top: "goes_on" input_param {
  shape { dim: 31 dim: 3 dim: 7 } shape { dim: 31 dim: 3 } shape { dim: 1 dim: 13 dim: 5 }
  shape { dim: 1 dim: 13 dim: 20 } shape { dim: 1 dim: 13 } } }
layer { name: "memory" type: "LSTM" bottom: "x" bottom: "cont" top: "h" recurrent_param { num_output: 5 } }
layer { name: "unit" type: "LSTMUnit" bottom: "c" bottom: "gates" bottom: "goes_on" top: "c1" top: "h1" }
"""


def test_sequences_begin_and_go_on() -> None:
    x, cont, _, _, goes_on = synthetic_feeds(net_of(RECURRENT_NET), seed=1)["in"]
    assert len(x.unique()) > 2
    assert set(cont.flatten().tolist()) == set(goes_on.flatten().tolist()) == {0, 1}


def test_the_second_top_of_given_images_and_windows_holds_labels() -> None:
    net = net_of(
        'layer { name: "m" type: "MemoryData" top: "a" top: "b" memory_data_param {'
        " batch_size: 5 channels: 3 height: 7 width: 11 } }"
        'layer { name: "w" type: "WindowData" top: "c" top: "d" window_data_param { source: "x" batch_size: 3 }'
        " transform_param { crop_size: 7 } }"
    )
    feeds = synthetic_feeds(net, seed=1)
    assert feeds["m"][0].shape == (5, 3, 7, 11)
    assert not feeds["m"][1].any()
    assert not feeds["w"][1].any()
