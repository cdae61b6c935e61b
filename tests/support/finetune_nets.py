"""Small nets to fine-tune, as users bring them: one like GoogLeNet with two auxiliary losses, and a V1 net."""

from __future__ import annotations

from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.legacy import upgrade_net
from caffeflow.proto.text import parse

_DATA = """
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: {phase} }}
  transform_param {{ {mirror} crop_size: 13 mean_value: 104 mean_value: 117 mean_value: 123 scale: 0.5 }}
  data_param {{ source: "old/{phase}_lmdb" batch_size: {batch} backend: LMDB }} }}
"""


def _head(name: str, bottom: str, weight: str) -> str:
    """An auxiliary loss behind a small layer of its own, as GoogLeNet has them."""
    scores = f"{name}/classifier"
    return f"""
layer {{ name: "{name}/fc" type: "InnerProduct" bottom: "{bottom}" top: "{name}/fc"
  param {{ lr_mult: 1 }} param {{ lr_mult: 2 decay_mult: 0 }}
  inner_product_param {{ num_output: 11 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "{name}/relu_fc" type: "ReLU" bottom: "{name}/fc" top: "{name}/fc" }}
layer {{ name: "{name}/drop_fc" type: "Dropout" bottom: "{name}/fc" top: "{name}/fc" }}
layer {{ name: "{scores}" type: "InnerProduct" bottom: "{name}/fc" top: "{scores}"
  param {{ lr_mult: 1 }} param {{ lr_mult: 2 decay_mult: 0 }}
  inner_product_param {{ num_output: 17 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "{name}/loss" type: "SoftmaxWithLoss" bottom: "{scores}" bottom: "label" top: "{name}/loss"
  loss_weight: {weight} }}
layer {{ name: "{name}/top-1" type: "Accuracy" bottom: "{scores}" bottom: "label" top: "{name}/top-1"
  include {{ phase: TEST }} }}
layer {{ name: "{name}/top-5" type: "Accuracy" bottom: "{scores}" bottom: "label" top: "{name}/top-5"
  include {{ phase: TEST }} accuracy_param {{ top_k: 5 }} }}
"""


def _conv(name: str, bottom: str, num_output: int) -> str:
    return f"""
layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"
  param {{ lr_mult: 1 decay_mult: 1 }} param {{ lr_mult: 2 decay_mult: 0 }}
  convolution_param {{ num_output: {num_output} kernel_size: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "{name}/relu" type: "ReLU" bottom: "{name}" top: "{name}" }}
"""


GOOGLENET_LIKE = (
    'name: "small-googlenet"\n'
    + _DATA.format(phase="TRAIN", mirror="mirror: true", batch=7)
    + _DATA.format(phase="TEST", mirror="", batch=3)
    + _conv("conv1", "data", 5)
    + _conv("branch_a", "conv1", 3)
    + _conv("branch_b", "conv1", 2)
    + 'layer { name: "mixed" type: "Concat" bottom: "branch_a" bottom: "branch_b" top: "mixed" }'
    + _head("loss1", "mixed", "0.3")
    + _conv("conv2", "mixed", 7)
    + _head("loss2", "conv2", "0.3")
    + _conv("conv3", "conv2", 7)
    + _head("loss3", "conv3", "1")
)
"""Three classifiers of 17 classes on one label; crop 13, mean values, scale 0.5."""

HEADS = ("loss1/classifier", "loss2/classifier", "loss3/classifier")

V1_NET = """
name: "old"
layers { name: "data" type: DATA top: "data" top: "label" include: { phase: TRAIN }
  data_param { source: "old/train_leveldb" mean_file: "old/mean.binaryproto" batch_size: 5 crop_size: 11
    mirror: true } }
layers { name: "data" type: DATA top: "data" top: "label" include: { phase: TEST }
  data_param { source: "old/test_leveldb" mean_file: "old/mean.binaryproto" batch_size: 3 crop_size: 11 } }
layers { name: "conv1" type: CONVOLUTION bottom: "data" top: "conv1" blobs_lr: 1 blobs_lr: 2 weight_decay: 1
  weight_decay: 0 convolution_param { num_output: 5 kernel_size: 3 weight_filler { type: "xavier" } } }
layers { name: "fc8" type: INNER_PRODUCT bottom: "conv1" top: "fc8" blobs_lr: 1 blobs_lr: 2 weight_decay: 1
  weight_decay: 0 inner_product_param { num_output: 1000 weight_filler { type: "gaussian" std: 0.1 } } }
layers { name: "accuracy" type: ACCURACY bottom: "fc8" bottom: "label" top: "accuracy" include: { phase: TEST } }
layers { name: "loss" type: SOFTMAX_LOSS bottom: "fc8" bottom: "label" top: "loss" }
"""


def net_of(text: str) -> NetParameter:
    """Returns a net of text, brought to the current format."""
    net = parse(text, NetParameter(), source="net.prototxt")
    upgrade_net(net)
    return net
