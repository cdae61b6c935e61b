"""The `import caffe` API on the embedded engine: `from caffeflow import pycaffe as caffe`.

The one rule to know: names and behaviour are those of BVLC's pycaffe; docs/pycaffe.md lists where not.
"""

from __future__ import annotations

from caffeflow.pycaffe.mode import TEST as TEST
from caffeflow.pycaffe.mode import TRAIN as TRAIN
from caffeflow.pycaffe.mode import init_log as init_log
from caffeflow.pycaffe.mode import log as log
from caffeflow.pycaffe.mode import set_device as set_device
from caffeflow.pycaffe.mode import set_logging_disabled as set_logging_disabled
from caffeflow.pycaffe.mode import set_mode_cpu as set_mode_cpu
from caffeflow.pycaffe.mode import set_mode_gpu as set_mode_gpu
from caffeflow.pycaffe.mode import set_random_seed as set_random_seed
from caffeflow.pycaffe.net import Net as Net
