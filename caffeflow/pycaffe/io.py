"""`caffe.io`: pictures, their way into a net, and conversions; the parts stand in files of their own."""

from __future__ import annotations

from caffeflow.pycaffe.conversions import array_to_blobproto as array_to_blobproto
from caffeflow.pycaffe.conversions import array_to_datum as array_to_datum
from caffeflow.pycaffe.conversions import arraylist_to_blobprotovector_str as arraylist_to_blobprotovector_str
from caffeflow.pycaffe.conversions import blobproto_to_array as blobproto_to_array
from caffeflow.pycaffe.conversions import blobprotovector_str_to_arraylist as blobprotovector_str_to_arraylist
from caffeflow.pycaffe.conversions import datum_to_array as datum_to_array
from caffeflow.pycaffe.pictures import load_image as load_image
from caffeflow.pycaffe.pictures import oversample as oversample
from caffeflow.pycaffe.pictures import resize_image as resize_image
from caffeflow.pycaffe.proto import caffe_pb2 as caffe_pb2
from caffeflow.pycaffe.transformer import Transformer as Transformer
