"""Nets written in Python, as text: run with `caffe.NetSpec` and friends, here and in the real Caffe.

Each program leaves a net in `net`; `caffe`, `L` and `P` are given.
"""

from __future__ import annotations

from typing import Any, Final

_DIGITS: Final = """
digits = caffe.NetSpec()
digits.pixels, digits.truth = L.DummyData(ntop=2, shape=[dict(dim=[7, 1, 28, 28]), dict(dim=[7])],
                                          transform_param={'scale': 0.00390625})
last = digits.pixels
for number, filters in enumerate([20, 50], start=1):
    last = digits['conv%d' % number] = L.Convolution(
        last, num_output=filters, kernel_size=5, weight_filler={'type': 'xavier'},
        param=[dict(lr_mult=1), dict(lr_mult=2, decay_mult=0)])
    last = digits['pool%d' % number] = L.Pooling(last, pool=P.Pooling.MAX, kernel_size=2, stride=2)
digits.hidden = L.InnerProduct(last, num_output=500, weight_filler=dict(type='gaussian', std=0.01))
digits.bend = L.ReLU(digits.hidden, in_place=True)
digits.scores = L.InnerProduct(digits.bend, num_output=10, bias_filler={'type': 'constant', 'value': 0.1})
digits.loss = L.SoftmaxWithLoss(digits.scores, digits.truth, loss_weight=0.5, loss_param=dict(ignore_label=3))
net = digits.to_proto()
"""
_NAMELESS: Final = """
top, truth = L.Data(source='records_lmdb', backend=P.Data.LMDB, batch_size=256, ntop=2,
                    transform_param=dict(crop_size=227, mean_value=[104, 117, 123], mirror=True))
for settings in (dict(num_output=96, kernel_size=11, stride=4), dict(num_output=256, kernel_size=5, pad=2, group=2),
                 dict(num_output=384, kernel_size=3, pad=1)):
    top = L.ReLU(L.Convolution(top, **settings), in_place=True)
    top = L.LRN(L.Pooling(top, pool=P.Pooling.MAX, kernel_size=3, stride=2), local_size=5, alpha=1e-4, beta=0.75)
for size in (4096, 4096):
    top = L.Dropout(L.ReLU(L.InnerProduct(top, num_output=size), in_place=True), in_place=True)
scores = L.InnerProduct(top, num_output=1000)
net = caffe.to_proto(L.SoftmaxWithLoss(scores, truth), L.Accuracy(scores, truth, include=dict(phase=caffe.TEST)))
"""

PROGRAMS: Final[dict[str, str]] = {
    "digits": _DIGITS,
    "AlexNet, nothing named": _NAMELESS,
    "silenced": """
n = caffe.NetSpec()
n.seen, n.unseen = L.DummyData(shape=dict(dim=5), ntop=2)
n['quiet/seen'] = L.Silence(n.seen, ntop=0)
n.quiet = L.Silence(n.unseen, ntop=0)
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
