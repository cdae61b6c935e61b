"""Nets for coordinate maps, as a text that runs here and in the real Caffe: `maps(caffe, coord_map)`."""

from __future__ import annotations

from typing import Final

MAPS: Final = """
import itertools
import numpy as np

def spec(caffe, kernel, stride, pad, pool, up, cut):
    L, n = caffe.layers, caffe.NetSpec()
    n.data = L.Input(shape=dict(dim=[2, 1, 97, 89]))
    n.small = L.Input(shape=dict(dim=[2, 1, 23, 19]))
    n.conv = L.Convolution(n.data, num_output=7, kernel_size=kernel, stride=stride, pad=pad, dilation=2)
    n.pool = L.Pooling(L.ReLU(n.conv, in_place=True), kernel_size=pool, stride=pool)
    twice = [2 * each for each in up] if isinstance(up, list) else 2 * up
    n.deconv = L.Deconvolution(n.pool, convolution_param=dict(num_output=7, kernel_size=twice, stride=up, pad=cut))
    n.sum = L.Eltwise(n.deconv, L.Scale(n.deconv))
    n.crop = L.Crop(n.sum, n.small, axis=2, offset=[3, 5])
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
        except AssertionError:
            found['%d refused' % number] = np.zeros(1)
    return found
"""
"""`maps` gives arrays by name: axis, scales and shifts, the offsets of crops, and a zero where there can be none."""
COUNT: Final = 3 * 3 * 3 * 2 * 3 * 2 * 6
