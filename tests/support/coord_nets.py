"""Nets for coordinate maps, as a text that runs here and in the real Caffe: `maps(caffe, coord_map)`."""

from __future__ import annotations

from typing import Final

MAPS: Final = """
import itertools
import numpy as np

def spec(caffe, ks=3, stride=1, pad=0, pool=2, dstride=2, dpad=0):
    L, n = caffe.layers, caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[2, 1, 100, 100]))
    n.aux = L.Input(shape=dict(dim=[2, 1, 20, 20]))
    n.conv = L.Convolution(n.data, num_output=10, kernel_size=ks, stride=stride, pad=pad, dilation=2)
    n.pool = L.Pooling(L.ReLU(n.conv, in_place=True), kernel_size=pool, stride=pool, pad=0)
    deconv = dict(num_output=10, kernel_size=[2 * s for s in dstride] if isinstance(dstride, list) else 2 * dstride,
                  stride=dstride, pad=dpad)
    n.deconv = L.Deconvolution(n.pool, convolution_param=deconv)
    n.sum = L.Eltwise(n.deconv, L.Scale(n.deconv))
    n.crop = L.Crop(n.sum, n.aux, axis=2, offset=[3, 5])
    n.ip = L.InnerProduct(n.deconv, num_output=10)
    return n

def maps(caffe, coord_map):
    found = {}
    for number, settings in enumerate(itertools.product(
            (1, 5, [3, 4]), (1, 2, [2, 3]), (0, 2, [1, 0]), (2, 3), (2, 3, [2, 3]), (0, 1))):
        n = spec(caffe, *settings)
        for top in ('conv', 'pool', 'deconv', 'sum', 'crop'):
            axis, scale, shift = coord_map.coord_map_from_to(n[top], n.data)
            found['%d %s' % (number, top)] = np.concatenate([[axis], np.ravel(scale), np.ravel(shift)])
        try:
            found['%d cropped' % number] = np.array(
                list(coord_map.crop(n.deconv, n.data).fn.params['crop_param']['offset']))
        except AssertionError as error:
            found['%d refused' % number] = np.array(len(str(error)))
    return found
"""
"""`maps` gives arrays by name: axis, scales and shifts, the offsets of crops, and the length of refusals."""
COUNT: Final = 3 * 3 * 3 * 2 * 3 * 2 * 6
