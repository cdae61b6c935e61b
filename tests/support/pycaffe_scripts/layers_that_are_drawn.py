"""A Python layer whose settings are drawn, for any `import caffe`.

Blobs are taken by their number: the real pycaffe cannot loop over them.
"""

from __future__ import annotations

import json

import caffe
import numpy as np


class Powers(caffe.Layer):
    """Each top is a factor times the sum of all bottoms to its power, plus a learned number if there is one."""

    def setup(self, bottom, top):
        settings = json.loads(self.param_str)
        self.factors = settings["factors"]
        if self.phase == caffe.TEST:
            self.factors = [-factor for factor in self.factors]
        self.learns = settings.get("learns", False)
        if self.learns:
            self.blobs.add_blob(len(top))
            self.blobs[0].data[...] = np.arange(len(top)) / 4

    def reshape(self, bottom, top):
        for place in range(len(top)):
            top[place].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        self.total = sum(bottom[place].data for place in range(len(bottom)))
        for place, factor in enumerate(self.factors):
            made = factor * self.total ** (place + 1)
            top[place].data[...] = made + (self.blobs[0].data[place] if self.learns else 0)

    def backward(self, top, propagate_down, bottom):
        terms = [
            factor * (place + 1) * self.total**place * top[place].diff
            for place, factor in enumerate(self.factors)
        ]
        if self.learns:
            self.blobs[0].diff[...] += [top[place].diff.sum() for place in range(len(top))]
        for place in range(len(bottom)):
            if propagate_down[place]:
                bottom[place].diff[...] = sum(terms)
