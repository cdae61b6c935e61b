"""What each layer type is: params, shapes, learned blobs, multiply-accumulates; without torch.

One file a family; this list is all there is to registration (a test compares it with the folder).
"""

from __future__ import annotations

from caffeflow.layers import accuracy as accuracy
from caffeflow.layers import activations as activations
from caffeflow.layers import argmax as argmax
from caffeflow.layers import arithmetic as arithmetic
from caffeflow.layers import batch_norm as batch_norm
from caffeflow.layers import concat_slice as concat_slice
from caffeflow.layers import contrastive_loss as contrastive_loss
from caffeflow.layers import convolution as convolution
from caffeflow.layers import crop as crop
from caffeflow.layers import data as data
from caffeflow.layers import deconvolution as deconvolution
from caffeflow.layers import detection_evaluate as detection_evaluate
from caffeflow.layers import detection_output as detection_output
from caffeflow.layers import dropout as dropout
from caffeflow.layers import eltwise as eltwise
from caffeflow.layers import embed as embed
from caffeflow.layers import hdf5 as hdf5
from caffeflow.layers import im2col as im2col
from caffeflow.layers import inner_product as inner_product
from caffeflow.layers import label_losses as label_losses
from caffeflow.layers import losses as losses
from caffeflow.layers import lrn as lrn
from caffeflow.layers import multibox_loss as multibox_loss
from caffeflow.layers import mvn as mvn
from caffeflow.layers import normalize as normalize
from caffeflow.layers import parameter as parameter
from caffeflow.layers import permute as permute
from caffeflow.layers import pooling as pooling
from caffeflow.layers import prior_box as prior_box
from caffeflow.layers import python as python
from caffeflow.layers import recurrent as recurrent
from caffeflow.layers import reduction as reduction
from caffeflow.layers import reshape as reshape
from caffeflow.layers import scale_bias as scale_bias
from caffeflow.layers import selection as selection
from caffeflow.layers import silence as silence
from caffeflow.layers import smooth_l1 as smooth_l1
from caffeflow.layers import softmax as softmax
from caffeflow.layers import spp as spp
from caffeflow.layers import tile as tile
from caffeflow.layers import window_data as window_data
