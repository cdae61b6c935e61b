"""How each layer type is written as ONNX nodes: one file a family, as in `caffeflow.layers`.

This list is all there is to registration (a test compares it with the folder).
"""

from __future__ import annotations

from caffeflow.export.onnx_layers import activations as activations
from caffeflow.export.onnx_layers import argmax as argmax
from caffeflow.export.onnx_layers import arithmetic as arithmetic
from caffeflow.export.onnx_layers import batch_norm as batch_norm
from caffeflow.export.onnx_layers import concat_slice as concat_slice
from caffeflow.export.onnx_layers import convolution as convolution
from caffeflow.export.onnx_layers import crop as crop
from caffeflow.export.onnx_layers import dropout as dropout
from caffeflow.export.onnx_layers import eltwise as eltwise
from caffeflow.export.onnx_layers import inner_product as inner_product
from caffeflow.export.onnx_layers import lrn as lrn
from caffeflow.export.onnx_layers import mvn as mvn
from caffeflow.export.onnx_layers import normalize as normalize
from caffeflow.export.onnx_layers import parameter as parameter
from caffeflow.export.onnx_layers import permute as permute
from caffeflow.export.onnx_layers import pooling as pooling
from caffeflow.export.onnx_layers import prior_box as prior_box
from caffeflow.export.onnx_layers import reduction as reduction
from caffeflow.export.onnx_layers import reshape as reshape
from caffeflow.export.onnx_layers import scale_bias as scale_bias
from caffeflow.export.onnx_layers import selection as selection
from caffeflow.export.onnx_layers import silence as silence
from caffeflow.export.onnx_layers import softmax as softmax
from caffeflow.export.onnx_layers import tile as tile
