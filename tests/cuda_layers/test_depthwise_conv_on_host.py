"""DepthwiseConvolution's C++ and CUDA code against loops and the embedded engine's layer."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.depthwise_cases import CASES
from tests.support.host_kernels import Plant, compile_layer, run_cases
from tests.support.layer_battery import assert_arrays_equal

KERNELS = "src/caffe/util/depthwise_conv.cu"
PLANTS = {
    "forward": Plant(KERNELS, "if (x < 0 || x >= shape.width) {", "if (x <= 0 || x >= shape.width) {"),
    "bottom-gradient": Plant(KERNELS, "from_x % shape.stride_w ||", ""),
    "weight-gradient": Plant(
        KERNELS,
        "w * shape.stride_w - shape.pad_w + q * shape.dilation_w;\n    if (y",
        "w * shape.stride_w - shape.pad_w + q;\n    if (y",
    ),
    "bias-gradient": Plant(KERNELS, "bias_diff[blockIdx.x] += sum", "bias_diff[blockIdx.x] = sum"),
}


def check(program: Path, *, gpu: bool, double: bool) -> None:
    found = run_cases(program, [case.host_case(gpu=gpu, double=double) for case in CASES])
    expected = [array.ravel() for case in CASES for array in case.expected]
    assert_arrays_equal(found, expected, tolerance=1e-12 if double else 2e-6)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_layer("depthwise_conv", tmp_path_factory.mktemp("depthwise_conv"))


@pytest.mark.parametrize("double", [False, True], ids=["float", "double"])
@pytest.mark.parametrize("gpu", [False, True], ids=["cpu", "kernels"])
def test_depthwise_equals_loops_and_engine(program: Path, gpu: bool, double: bool) -> None:
    check(program, gpu=gpu, double=double)


@pytest.mark.parametrize("where", PLANTS)
def test_planted_error_in_a_depthwise_kernel_is_caught(where: str, tmp_path: Path) -> None:
    planted = compile_layer("depthwise_conv", tmp_path / "planted", plant=PLANTS[where])
    check(planted, gpu=False, double=True)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check(planted, gpu=True, double=True)
