"""PyTorch modules of the layer types, one file a family, as in `caffeflow.layers`.

This list is all there is to registration (a test compares it with the folder and with the specs).
"""

from __future__ import annotations

from caffeflow.engine.modules import accuracy as accuracy
from caffeflow.engine.modules import activations as activations
from caffeflow.engine.modules import argmax as argmax
from caffeflow.engine.modules import arithmetic as arithmetic
from caffeflow.engine.modules import batch_norm as batch_norm
from caffeflow.engine.modules import concat_slice as concat_slice
from caffeflow.engine.modules import contrastive_loss as contrastive_loss
from caffeflow.engine.modules import convolution as convolution
from caffeflow.engine.modules import crop as crop
from caffeflow.engine.modules import data as data
from caffeflow.engine.modules import deconvolution as deconvolution
from caffeflow.engine.modules import detection_evaluate as detection_evaluate
from caffeflow.engine.modules import detection_output as detection_output
from caffeflow.engine.modules import dropout as dropout
from caffeflow.engine.modules import eltwise as eltwise
from caffeflow.engine.modules import embed as embed
from caffeflow.engine.modules import hdf5 as hdf5
from caffeflow.engine.modules import im2col as im2col
from caffeflow.engine.modules import inner_product as inner_product
from caffeflow.engine.modules import label_losses as label_losses
from caffeflow.engine.modules import losses as losses
from caffeflow.engine.modules import lrn as lrn
from caffeflow.engine.modules import multibox_loss as multibox_loss
from caffeflow.engine.modules import mvn as mvn
from caffeflow.engine.modules import normalize as normalize
from caffeflow.engine.modules import parameter as parameter
from caffeflow.engine.modules import permute as permute
from caffeflow.engine.modules import pooling as pooling
from caffeflow.engine.modules import prior_box as prior_box
from caffeflow.engine.modules import python_layer as python_layer
from caffeflow.engine.modules import recurrent as recurrent
from caffeflow.engine.modules import reduction as reduction
from caffeflow.engine.modules import reshape as reshape
from caffeflow.engine.modules import scale_bias as scale_bias
from caffeflow.engine.modules import selection as selection
from caffeflow.engine.modules import silence as silence
from caffeflow.engine.modules import smooth_l1 as smooth_l1
from caffeflow.engine.modules import softmax as softmax
from caffeflow.engine.modules import spp as spp
from caffeflow.engine.modules import tile as tile
