"""Python layers as users write them, for any `import caffe`."""

from __future__ import annotations

import caffe
import numpy as np


class Multiply(caffe.Layer):
    """Multiplies by the number in param_str."""

    def setup(self, bottom, top):
        self.factor = float(self.param_str)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = self.factor * top[0].diff


class Offset(caffe.Layer):
    """Adds a learned number to each channel."""

    def setup(self, bottom, top):
        self.blobs.add_blob(bottom[0].channels)
        self.blobs[0].data[...] = np.arange(bottom[0].channels)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data + self.blobs[0].data[np.newaxis, :]

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += top[0].diff.sum(axis=0)
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff


class HalfSquares(caffe.Layer):
    """Half the mean squared distance of two bottoms."""

    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise ValueError("HalfSquares needs two bottoms")

    def reshape(self, bottom, top):
        self.difference = np.zeros_like(bottom[0].data)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.difference[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.difference**2) / bottom[0].num / 2

    def backward(self, top, propagate_down, bottom):
        for place, sign in ((0, 1), (1, -1)):
            if propagate_down[place]:
                bottom[place].diff[...] = sign * top[0].diff[0] * self.difference / bottom[0].num


class Waves(caffe.Layer):
    """Brings data: each batch another one; its second top is the phase."""

    def setup(self, bottom, top):
        self.batch = 0
        top[0].reshape(5, 3)
        top[1].reshape(1)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        self.batch += 1
        top[0].data[...] = np.sin(self.batch + np.arange(15)).reshape(5, 3)
        top[1].data[...] = self.phase

    def backward(self, top, propagate_down, bottom):
        pass


class Wipe(caffe.Layer):
    """Writes over what it reads."""

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        bottom[0].data[...] = 0

    def backward(self, top, propagate_down, bottom):
        pass


class Broken(caffe.Layer):
    """Fails where param_str says."""

    def setup(self, bottom, top):
        self._fail("setup")

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        self._fail("forward")

    def backward(self, top, propagate_down, bottom):
        self._fail("backward")

    def _fail(self, place):
        if self.param_str == place:
            raise RuntimeError(f"broken on purpose in {place}")


def no_layer():
    """Something that a net may not name."""
