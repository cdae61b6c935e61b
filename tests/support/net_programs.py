"""Nets written in Python, as text: run with `caffe.NetSpec` and friends, here and in the real Caffe.

Each program leaves a net in `net`; `caffe`, `L` and `P` are given.
"""

from __future__ import annotations

from typing import Any, Final

_LENET: Final = """
n = caffe.NetSpec()
n.data, n.label = L.DummyData(shape=[dict(dim=[7, 1, 28, 28]), dict(dim=[7])], ntop=2,
                              transform_param=dict(scale=1.0 / 255))
n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=20, weight_filler=dict(type='xavier'),
                        param=[dict(lr_mult=1), dict(lr_mult=2, decay_mult=0)])
n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2, pool=P.Pooling.MAX)
n.ip1 = L.InnerProduct(n.pool1, num_output=500, weight_filler=dict(type='gaussian', std=0.01))
n.relu1 = L.ReLU(n.ip1, in_place=True)
n.ip2 = L.InnerProduct(n.relu1, num_output=10, bias_filler={'type': 'constant', 'value': 0.1})
n.loss = L.SoftmaxWithLoss(n.ip2, n.label, loss_weight=0.5, loss_param=dict(ignore_label=3))
net = n.to_proto()
"""
_ALEXNET: Final = """
def conv_relu(bottom, ks, nout, stride=1, pad=0, group=1):
    conv = L.Convolution(bottom, kernel_size=ks, stride=stride, num_output=nout, pad=pad, group=group)
    return conv, L.ReLU(conv, in_place=True)

def fc_relu(bottom, nout):
    fc = L.InnerProduct(bottom, num_output=nout)
    return fc, L.ReLU(fc, in_place=True)

data, label = L.Data(source='train_lmdb', backend=P.Data.LMDB, batch_size=256, ntop=2,
                     transform_param=dict(crop_size=227, mean_value=[104, 117, 123], mirror=True))
conv1, relu1 = conv_relu(data, 11, 96, stride=4)
pool1 = L.Pooling(relu1, pool=P.Pooling.MAX, kernel_size=3, stride=2)
norm1 = L.LRN(pool1, local_size=5, alpha=1e-4, beta=0.75)
conv2, relu2 = conv_relu(norm1, 5, 256, pad=2, group=2)
fc6, relu6 = fc_relu(relu2, 4096)
drop6 = L.Dropout(relu6, in_place=True)
fc8 = L.InnerProduct(drop6, num_output=1000)
loss = L.SoftmaxWithLoss(fc8, label)
acc = L.Accuracy(fc8, label, include=dict(phase=caffe.TEST))
net = caffe.to_proto(loss, acc)
"""

PROGRAMS: Final[dict[str, str]] = {
    "lenet": _LENET,
    "alexnet, nothing named": _ALEXNET,
    "silenced": """
n = caffe.NetSpec()
n.data, n.data2 = L.DummyData(shape=dict(dim=3), ntop=2)
n.silence_data = L.Silence(n.data, ntop=0)
n['silence/data2'] = L.Silence(n.data2, ntop=0)
net = n.to_proto()
""",
    "branches, some of them named": """
n = caffe.NetSpec()
n.data = L.Input(shape=[dict(dim=[2, 3, 5, 7])])
left = L.Convolution(n.data, num_output=5, kernel_size=[1, 3], pad=[0, 1])
right = L.Convolution(n.data, num_output=5, kernel_h=1, kernel_w=1, name='called')
n.joined = L.Eltwise(L.BatchNorm(left, in_place=True), L.Scale(L.BatchNorm(right), bias_term=True),
                     operation=P.Eltwise.SUM, coeff=[1, -0.5])
a, n.b, c = L.Slice(n.joined, ntop=3, slice_point=[2, 3], axis=1)
n.joined_again = L.Concat(a, c, n.b)
n.last = n.joined_again
net = n.to_proto()
""",
    "settings of every form": """
n = caffe.NetSpec()
n.data = L.Python(module='my', layer='Mine', param_str="{'a': 1}", ntop=1, phase=caffe.TRAIN)
n.up = L.Deconvolution(n.data, param=dict(lr_mult=0),
                       convolution_param=dict(num_output=5, kernel_size=4, weight_filler=dict(type='bilinear')))
n.pre = L.PReLU(n.up, filler=dict(type='constant', value=0.25), param=dict(name='shared', share_mode=1))
n.red = L.Reduction(n.pre, operation=P.Reduction.MEAN, axis=-1, propagate_down=[True])
n.re = L.Reshape(n.red, shape=dict(dim=[0, -1]), exclude=[dict(phase=0), dict(stage=['a', 'b'])])
n.norm = L.Softmax(n.re, engine=P.Softmax.CAFFE, loss_weight=[2])
n.p = L.Power(n.norm, power=2, scale=0.017, shift=-1e-7)
net = n.to_proto()
""",
    "a top by itself, twice the same": """
data = L.Input(shape=dict(dim=[1, 2]))
net = L.Eltwise(L.ReLU(data), L.ReLU(data), data).to_proto()
""",
}


def run_program(text: str, caffe: Any) -> Any:
    """Returns the net that a program makes with this `caffe` module."""
    names: dict[str, Any] = {"caffe": caffe, "L": caffe.layers, "P": caffe.params}
    exec(text, names)  # noqa: S102 - texts from above
    return names["net"]
