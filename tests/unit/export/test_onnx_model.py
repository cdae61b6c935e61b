"""The file: made in pieces, read by ONNX's own library, and refused where it would be wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

import caffeflow
from caffeflow.errors import CheckError, UsageError, WeightsError
from caffeflow.export.onnx_export import OPSETS
from tests.support.engine_nets import convolution, layer
from tests.support.onnx_nets import export, images

CONV = images(2, 3, 7, 5) + convolution("conv", "data", "conv", 2, 3)
WITH_CONSTANTS = CONV + layer("clip", "ReLU6", "conv", "clip") + layer("flat", "Flatten", "clip", "flat")


def test_the_pieces_are_the_model() -> None:
    made = export(
        WITH_CONSTANTS + layer("shape", "Reshape", "flat", "y", "reshape_param { shape { dim: -1 } }")
    )
    read = onnx.load_from_string(b"".join(made.pieces()))
    assert read == made.model()
    assert [each.name for each in read.graph.initializer] == [
        "shape/shape",
        "conv/weight",
        "conv/bias",
        "clip/min",
        "clip/max",
    ]
    weight = onnx.numpy_helper.to_array(read.graph.initializer[1])
    np.testing.assert_array_equal(weight, made.weights["conv/weight"])
    onnx.checker.check_model(read, full_check=True)


def test_a_large_weight_has_a_long_length() -> None:
    made = export(CONV)
    large = replace(made, weights={**made.weights, "large": np.arange(70_001, dtype=np.float32)})
    assert onnx.load_from_string(b"".join(large.pieces())) == large.model()


@pytest.mark.parametrize("opset", OPSETS)
def test_the_file_says_the_least_version_that_has_the_opset(opset: int) -> None:
    frame = export(WITH_CONSTANTS, opset=opset).frame
    (operators,) = frame.opset_import
    assert (operators.domain, operators.version) == ("", opset)
    assert frame.ir_version == onnx.helper.find_min_ir_version_for([operators])
    assert (frame.producer_name, frame.producer_version) == ("caffeflow", caffeflow.__version__)


@pytest.mark.parametrize("opset", [10, 22])
def test_other_opsets_are_refused(opset: int) -> None:
    with pytest.raises(UsageError, match=f"opset {opset} is not written; choose 11 to 21"):
        export(CONV, opset=opset)


def test_what_a_file_cannot_hold_is_refused() -> None:
    made = export(CONV)
    two_gigabytes = np.broadcast_to(np.float32(0), (2**29,))
    with pytest.raises(WeightsError, match=r"the model would have 2,147,48.* holds at most 2,147,483,647"):
        replace(made, weights={**made.weights, "large": two_gigabytes}).check()


def test_a_graph_that_onnx_would_not_take_is_refused() -> None:
    made = export(CONV)
    wrong = {"conv/weight": made.weights["conv/weight"]}
    with pytest.raises(CheckError, match="net 'small': ONNX's checker refuses the graph: "):
        replace(made, weights=wrong).check()


def test_what_the_caller_says_of_the_net_stands_in_the_file() -> None:
    (entry,) = export(CONV, properties={"preprocess": "{}"}).frame.metadata_props
    assert (entry.key, entry.value) == ("preprocess", "{}")
