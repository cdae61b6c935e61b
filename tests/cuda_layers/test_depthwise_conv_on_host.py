"""DepthwiseConvolution's C++ and CUDA code against loops and the embedded engine's layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.depthwise_cases import CASES, LARGE
from tests.support.host_kernels import OPTIMIZED_WITHOUT_AVX2, Plant, compile_layer, run_cases
from tests.support.layer_battery import assert_arrays_equal

LOOPS = "src/caffe/util/depthwise_conv.cpp"
KERNELS = "src/caffe/util/depthwise_conv.cu"
PLANTS = {
    "forward": (
        Plant(LOOPS, "plane_.WindowRow(row), taps_, filter, bias", "plane_.WindowRow(row), taps_, filter, 0"),
        Plant(KERNELS, "if (x < 0 || x >= shape.width) {", "if (x <= 0 || x >= shape.width) {"),
    ),
    "bottom-gradient": (
        Plant(LOOPS, "(x + shape_.pad_w) / shape_.stride_w", "x / shape_.stride_w"),
        Plant(KERNELS, "from_x % shape.stride_w ||", ""),
    ),
    "weight-gradient": (
        Plant(LOOPS, "plane_.window_step(), top_.At(m, 0, 0)", "plane_.window_step(), top_.At(0, 0, 0)"),
        Plant(
            KERNELS,
            "w * shape.stride_w - shape.pad_w + q * shape.dilation_w;\n    if (y",
            "w * shape.stride_w - shape.pad_w + q;\n    if (y",
        ),
    ),
    "bias-gradient": (
        Plant(LOOPS, "bias_diff_[c * shape_.multiplier + m] += sum", "bias_diff_[c] += sum"),
        Plant(KERNELS, "bias_diff[blockIdx.x] += sum", "bias_diff[blockIdx.x] = sum"),
    ),
}
# Every thread does all blocks, so that weight gradients are added as often as there are threads.
SHARED_BLOCKS = Plant(
    "include/caffe/util/depthwise_blocks.hpp", "for (int i = (*next)++; i < num_blocks; i = (*next)++)",
    "for (int i = 0; i < num_blocks; ++i)",
)  # fmt: skip


def check(program: Path, *, gpu: bool, double: bool) -> None:
    found = run_cases(program, [case.host_case(gpu=gpu, double=double) for case in CASES])
    expected = [array.ravel() for case in CASES for array in case.expected]
    assert_arrays_equal(found, expected, tolerance=1e-12 if double else 2e-6)


def results(program: Path, *, threads: int) -> list[np.ndarray]:
    return run_cases(program, [LARGE.host_case(gpu=False, double=False)], threads=threads)


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_layer("depthwise_conv", tmp_path_factory.mktemp("sanitized"))


@pytest.fixture(scope="module")
def optimized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("optimized")
    return compile_layer("depthwise_conv", folder, flags=OPTIMIZED_WITHOUT_AVX2)


@pytest.mark.parametrize("double", [False, True], ids=["float", "double"])
@pytest.mark.parametrize("gpu", [False, True], ids=["cpu", "kernels"])
def test_depthwise_equals_loops_and_engine(sanitized: Path, gpu: bool, double: bool) -> None:
    check(sanitized, gpu=gpu, double=double)


@pytest.mark.parametrize("double", [False, True], ids=["float", "double"])
def test_depthwise_loops_without_avx2_equal_them_too(optimized: Path, double: bool) -> None:
    check(optimized, gpu=False, double=double)


def test_depthwise_loops_give_the_same_bits_on_any_number_of_threads(sanitized: Path) -> None:
    one = results(sanitized, threads=1)
    for threads in (2, 3, 7):
        assert_arrays_equal(results(sanitized, threads=threads), one, tolerance=0)


@pytest.mark.parametrize("where", PLANTS)
def test_planted_error_in_depthwise_loops_and_kernels_is_caught(where: str, tmp_path: Path) -> None:
    planted = compile_layer("depthwise_conv", tmp_path / "planted", plants=PLANTS[where], flags=())
    for gpu in (False, True):
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            check(planted, gpu=gpu, double=True)


def test_blocks_that_threads_share_by_error_are_caught(tmp_path: Path) -> None:
    planted = compile_layer("depthwise_conv", tmp_path / "planted", plants=[SHARED_BLOCKS], flags=())
    check(planted, gpu=False, double=True)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        assert_arrays_equal(results(planted, threads=3), results(planted, threads=1), tolerance=0)
