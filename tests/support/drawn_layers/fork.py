"""Drawn layers of Caffe's SSD fork, and the fork's own field of Convolution."""

from __future__ import annotations

from typing import Final

import numpy as np

from caffeflow.proto.caffe_pb2 import LayerParameter, PriorBoxParameter
from caffeflow.proto.text import parse
from tests.support.drawn_layers.configuration import Bottom, Configuration, Family, one_bottom, weigh
from tests.support.drawn_layers.draw import Draw, Shape, Values, normal, tied
from tests.support.multibox_scenes import as_priors, as_truth, drawn_settings, scene, some_boxes, text_of


def _given(array: np.ndarray) -> Bottom:
    """Returns a bottom that holds an array, and gets no gradient."""
    return Bottom(shape=array.shape, values=lambda _random, shape: array.reshape(shape), gradient=False)


def permute(draw: Draw) -> Configuration:
    """Draws a Permute that names some axes; the others follow."""
    layer = LayerParameter()
    shape = draw.shape(2, 5)
    order = [int(axis) for axis in draw.random.permutation(len(shape))]
    layer.permute_param.order[:] = order[: draw.integer(1, len(shape))]
    weigh(draw, layer)
    return Configuration(layer=layer, bottoms=one_bottom(shape))


def normalize(draw: Draw) -> Configuration:
    """Draws a Normalize of up to four axes."""
    layer = LayerParameter()
    param = layer.norm_param
    if draw.chance(0.7):
        param.across_spatial = draw.chance()
    if draw.chance(0.7):
        param.channel_shared = draw.chance()
    if draw.chance(0.4):
        param.eps = draw.number(0.001, 0.5)
    if draw.chance(0.7):
        draw.fill_any_shape(param.scale_filler)
    return Configuration(
        layer=layer, bottoms=one_bottom((*draw.shape(1, 1), draw.integer(2, 5), *draw.shape(2, 2)))
    )


def prior_box(draw: Draw) -> Configuration:
    """Draws a PriorBox, whose sizes are of the image or given, and which has no gradient."""
    layer = LayerParameter()
    param = layer.prior_box_param
    sizes = draw.integer(1, 2)
    param.min_size[:] = [draw.number(3, 20) for _ in range(sizes)]
    if draw.chance():
        param.max_size[:] = [size + draw.number(1, 9) for size in param.min_size]
    param.aspect_ratio[:] = [draw.number(1.2, 4) for _ in range(draw.integer(0, 3))]
    for name in ("flip", "clip"):
        if draw.chance():
            setattr(param, name, draw.chance())
    if draw.chance():
        param.variance[:] = [draw.number(0.05, 0.5) for _ in range(draw.one_of(1, 4))]
    _sizes(draw, param)
    if draw.chance():
        param.offset = draw.number(0, 1)
    if draw.chance(0.3):
        param.reduce_boxes = draw.chance()
    maps, image = (
        Bottom(shape=draw.shape(4, 4)),
        Bottom(shape=(1, 3, draw.integer(30, 70), draw.integer(30, 70))),
    )
    return Configuration(layer=layer, bottoms=(maps, image), backward=False)


def _sizes(draw: Draw, param: PriorBoxParameter) -> None:
    """Draws what stands for the image's size and for the maps' step, each in one of three ways."""
    how = draw.one_of("", "size", "sides")
    if how == "size":
        param.img_size = draw.integer(30, 70)
    elif how == "sides":
        param.img_h, param.img_w = draw.integer(30, 70), draw.integer(30, 70)
    how = draw.one_of("", "step", "steps")
    if how == "step":
        param.step = draw.number(3, 12)
    elif how == "steps":
        param.step_h, param.step_w = draw.number(3, 12), draw.number(3, 12)


def relu6(draw: Draw) -> Configuration:
    """Draws a ReLU6."""
    layer = LayerParameter()
    weigh(draw, layer)
    bottoms = one_bottom(draw.shape(1, 5), draw.one_of(_wide, tied))
    return Configuration(layer=layer, bottoms=bottoms, in_place=draw.chance(0.3))


def _wide(random: np.random.Generator, shape: Shape) -> np.ndarray:
    return random.uniform(-5, 12, shape)


def smooth_l1_loss(draw: Draw) -> Configuration:
    """Draws a SmoothL1Loss of two bottoms; the fork refuses a third."""
    layer = LayerParameter()
    weigh(draw, layer, share=0.5)
    values: Values = draw.one_of(normal, tied)
    return Configuration(layer=layer, bottoms=one_bottom(draw.shape(2, 4), values) * 2)


def multibox_loss(draw: Draw) -> Configuration:
    """Draws a MultiBoxLoss without ties; where no class is the background, the fork dies."""
    while (settings := drawn_settings(draw.integer(0, 10**6))).background != 0:
        pass
    boxes = draw.random.permutation([0, *draw.random.integers(1, 6, 2)])
    batch = scene(settings, seed=draw.integer(0, 10**6), count=17, boxes=boxes)
    for array in (batch.conf, batch.priors[:, :1]):
        array += draw.random.normal(0, 1e-3, array.shape).astype(np.float32)
    layer = parse(f'name: "mbox" {text_of(settings)}', LayerParameter(), source="drawn")
    layer.ClearField("name")
    weigh(draw, layer, share=0.3)
    loc, conf, priors, truth = map(_given, batch.bottoms())
    learned = [Bottom(shape=each.shape, values=each.values) for each in (loc, conf)]
    return Configuration(layer=layer, bottoms=(*learned, priors, truth))


def _boxes(draw: Draw, count: int) -> np.ndarray:
    """Draws boxes of some size, none of them twice."""
    return some_boxes(draw.random, count) + draw.random.normal(0, 1e-3, (count, 4))


def _nms(draw: Draw, layer: LayerParameter) -> None:
    param = layer.detection_output_param.nms_param
    if draw.chance(0.7):
        param.nms_threshold = draw.number(0.1, 0.9)
    if draw.chance():
        param.top_k = draw.integer(1, 9)
    if draw.chance(0.3):
        param.eta = draw.number(0.7, 0.99)


def detection_output(draw: Draw) -> Configuration:
    """Draws a DetectionOutput of distinct scores."""
    layer = LayerParameter()
    param = layer.detection_output_param
    classes, count, images = draw.integer(2, 5), draw.integer(3, 13), draw.integer(1, 3)
    param.num_classes = classes
    if draw.chance(0.4):
        param.share_location = draw.chance(0.3)
    if draw.chance(0.4):
        param.background_label_id = draw.integer(0, classes - 1)
    if draw.chance(0.7):
        param.code_type = draw.integer(1, 3)
    if draw.chance(0.4):
        param.variance_encoded_in_target = draw.chance()
    if draw.chance(0.5):
        param.keep_top_k = draw.integer(1, 20)
    if draw.chance(0.7):
        param.confidence_threshold = draw.number(0.05, 0.6)
    if draw.chance(0.8):
        _nms(draw, layer)
    boxes_a_prior = 1 if param.share_location else classes
    loc = draw.random.normal(0, 0.2, (images, count * boxes_a_prior * 4))
    scores = (draw.random.permutation(images * count * classes) + 0.5) / (images * count * classes)
    bottoms = (loc, scores.reshape(images, -1), as_priors(_boxes(draw, count)))
    return Configuration(layer=layer, bottoms=tuple(map(_given, bottoms)), backward=False, phase="TEST")


def detection_evaluate(draw: Draw) -> Configuration:
    """Draws a DetectionEvaluate of boxes and what was found near them."""
    layer = LayerParameter()
    param = layer.detection_evaluate_param
    classes, count, images = draw.integer(2, 5), draw.integer(1, 9), draw.integer(1, 3)
    param.num_classes = classes
    if draw.chance(0.3):
        param.background_label_id = 0
    if draw.chance(0.6):
        param.overlap_threshold = draw.number(0.2, 0.8)
    if draw.chance(0.6):
        param.evaluate_difficult_gt = draw.chance(0.3)
    random = draw.random
    boxes = _boxes(draw, count)
    owners, labels = np.sort(random.integers(0, images, count)), random.integers(1, classes, count)
    truth = [
        [owner, label, 0, *box, random.random() < 0.3]
        for owner, label, box in zip(owners, labels, boxes, strict=True)
    ]
    near = [
        [owner, label, 0, *(box + random.normal(0, 0.05, 4))]
        for owner, label, box in zip(owners, labels, boxes, strict=True)
        for _ in range(2)
    ]
    found = np.array(near)
    found[:, 2] = (random.permutation(len(near)) + 0.5) / len(near)
    bottoms = (found.reshape(1, 1, -1, 7), as_truth(truth))
    return Configuration(layer=layer, bottoms=tuple(map(_given, bottoms)), backward=False, phase="TEST")


def tf_pad(draw: Draw) -> Configuration:
    """Draws a Convolution with `tf_pad`, whose zeros stand after the axes only where sizes are even."""
    layer = LayerParameter()
    param = layer.convolution_param
    param.num_output = draw.integer(1, 5)
    kernel = draw.one_of(3, 5)
    param.kernel_size.append(kernel)
    param.pad.append(kernel // 2)
    param.stride.append(draw.integer(1, 2))
    param.tf_pad = draw.integer(0, 1)
    param.engine = 1  # CAFFE
    draw.fill(param.weight_filler)
    draw.fill_any_shape(param.bias_filler)
    weigh(draw, layer)
    image = (draw.integer(5, 9), draw.integer(5, 9))
    return Configuration(layer=layer, bottoms=one_bottom((*draw.shape(2, 2), *image)))


FAMILIES: Final[dict[str, Family]] = {
    "Convolution with tf_pad": tf_pad,
    "DetectionEvaluate": detection_evaluate,
    "DetectionOutput": detection_output,
    "MultiBoxLoss": multibox_loss,
    "Normalize": normalize,
    "Permute": permute,
    "PriorBox": prior_box,
    "ReLU6": relu6,
    "SmoothL1Loss": smooth_l1_loss,
}
