"""PyTorch modules of the layer types, one file a family, as in `caffeflow.layers`.

This list is all there is to registration (a test compares it with the folder and with the specs).
"""

from __future__ import annotations

from caffeflow.engine.modules import accuracy as accuracy
from caffeflow.engine.modules import activations as activations
from caffeflow.engine.modules import convolution as convolution
from caffeflow.engine.modules import data as data
from caffeflow.engine.modules import inner_product as inner_product
from caffeflow.engine.modules import losses as losses
from caffeflow.engine.modules import pooling as pooling
from caffeflow.engine.modules import softmax as softmax
