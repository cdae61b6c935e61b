"""What each layer type is: params, shapes, learned blobs, multiply-accumulates; without torch.

One file a family; this list is all there is to registration (a test compares it with the folder).
"""

from __future__ import annotations

from caffeflow.layers import accuracy as accuracy
from caffeflow.layers import activations as activations
from caffeflow.layers import convolution as convolution
from caffeflow.layers import data as data
from caffeflow.layers import inner_product as inner_product
from caffeflow.layers import losses as losses
from caffeflow.layers import pooling as pooling
from caffeflow.layers import softmax as softmax
