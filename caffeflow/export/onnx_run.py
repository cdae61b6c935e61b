"""Running an ONNX file with onnxruntime on the CPU: what checks compare with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime

from caffeflow.proto.binary import Array

_WARNINGS = 2
_ERRORS = 3


def run_onnx(model: Path | bytes, inputs: Mapping[str, Array], *, warns: bool = False) -> dict[str, Array]:
    """Returns all outputs by name, computed in one thread.

    Args:
        model: The file, or its content.
        inputs: Values by the name of the input.
        warns: Whether onnxruntime's warnings are shown on stderr, not only its errors.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _WARNINGS if warns else _ERRORS
    source = model if isinstance(model, bytes) else str(model)
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    contiguous = {name: np.ascontiguousarray(values, np.float32) for name, values in inputs.items()}
    return dict(zip(names, session.run(names, contiguous), strict=True))
