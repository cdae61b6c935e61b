"""The `import caffe` API on the embedded engine: `from caffeflow import pycaffe as caffe`.

The one rule to know: names and behaviour are those of BVLC's pycaffe; docs/pycaffe.md lists where not.
"""

from __future__ import annotations

from caffeflow.pycaffe import io as io
from caffeflow.pycaffe import proto as proto
from caffeflow.pycaffe.classifier import Classifier as Classifier
from caffeflow.pycaffe.detector import Detector as Detector
from caffeflow.pycaffe.layer import Layer as Layer
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
from caffeflow.pycaffe.net_spec import NetSpec as NetSpec
from caffeflow.pycaffe.net_spec import layers as layers
from caffeflow.pycaffe.net_spec import params as params
from caffeflow.pycaffe.net_spec import to_proto as to_proto
from caffeflow.pycaffe.processes import NCCL as NCCL
from caffeflow.pycaffe.processes import Timer as Timer
from caffeflow.pycaffe.processes import has_nccl as has_nccl
from caffeflow.pycaffe.processes import layer_type_list as layer_type_list
from caffeflow.pycaffe.processes import set_multiprocess as set_multiprocess
from caffeflow.pycaffe.processes import set_solver_count as set_solver_count
from caffeflow.pycaffe.processes import set_solver_rank as set_solver_rank
from caffeflow.pycaffe.processes import solver_count as solver_count
from caffeflow.pycaffe.processes import solver_rank as solver_rank
from caffeflow.pycaffe.solver import AdaDeltaSolver as AdaDeltaSolver
from caffeflow.pycaffe.solver import AdaGradSolver as AdaGradSolver
from caffeflow.pycaffe.solver import AdamSolver as AdamSolver
from caffeflow.pycaffe.solver import NesterovSolver as NesterovSolver
from caffeflow.pycaffe.solver import RMSPropSolver as RMSPropSolver
from caffeflow.pycaffe.solver import SGDSolver as SGDSolver
from caffeflow.pycaffe.solver import get_solver as get_solver

__version__ = "1.0.0"
