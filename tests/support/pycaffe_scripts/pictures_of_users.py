"""A Python layer that brings a picture and a label for each pixel, of another size each time."""

from __future__ import annotations

import json

import caffe
import numpy as np


class Pictures(caffe.Layer):
    def setup(self, bottom, top):
        if len(top) != 2 or len(bottom) != 0:
            raise ValueError("Pictures brings two tops and takes no bottom")
        settings = json.loads(self.param_str)
        self.classes, self.mean = settings["classes"], np.array(settings["mean"])
        self.next = settings["first"]

    def reshape(self, bottom, top):
        random = np.random.RandomState(self.next)
        height, width = 19 + 2 * (self.next % 3), 23 - self.next % 2
        self.picture = random.rand(3, height, width) - self.mean[:, np.newaxis, np.newaxis]
        self.labels = random.randint(0, self.classes + 1, (1, height, width))
        self.labels[self.labels == self.classes] = 255
        top[0].reshape(1, *self.picture.shape)
        top[1].reshape(1, *self.labels.shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.picture
        top[1].data[...] = self.labels
        self.next += 1

    def backward(self, top, propagate_down, bottom):
        pass
