"""ReLU6's C++ and CUDA code against the loops' gradient and the embedded engine's layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.host_kernels import HostCase, Plant, compile_layer, run_cases
from tests.support.layer_battery import Case, assert_arrays_equal, run
from tests.support.oracles import activations

KERNELS = "src/caffe/layers/relu6_layer.cu"
SHAPE = (2, 3, 5, 7)
PLANTS = {
    "forward": Plant(KERNELS, "x > 6 ? Dtype(6)", "x > 6 ? Dtype(5)"),
    "backward-at-6": Plant(KERNELS, "in_data[index] < 6", "in_data[index] <= 6"),
}


def vectors() -> tuple[np.ndarray, np.ndarray]:
    """Bottom and top gradient; among the values are both ends themselves."""
    rng = np.random.default_rng(3)
    bottom = np.round(rng.uniform(-3, 9, SHAPE) * 2) / 2
    assert {0.0, 6.0, -1.5, 7.5} <= set(bottom.ravel())
    return bottom.astype(np.float32), rng.standard_normal(SHAPE).astype(np.float32)


def host_cases(*, gpu: bool) -> list[HostCase]:
    return [
        HostCase((gpu, double, in_place, *SHAPE), vectors())
        for double in (False, True)
        for in_place in (False, True)
    ]


def check(program: Path, *, gpu: bool) -> None:
    bottom, top_diff = vectors()
    case = Case(id="relu6", prototxt='type: "ReLU6"', bottoms=[bottom], oracle=lambda *_: bottom)
    top = run(case.module(), [bottom])[0]
    gradient = activations.relu6_gradient(bottom, top_diff)
    found = run_cases(program, host_cases(gpu=gpu))
    expected = [values.ravel().astype(np.float64) for values in (top, gradient)]
    assert_arrays_equal(found, expected * 4, tolerance=0)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_layer("relu6", tmp_path_factory.mktemp("relu6"))


@pytest.mark.parametrize("gpu", [False, True], ids=["cpu", "kernels"])
def test_relu6_equals_the_engine(program: Path, gpu: bool) -> None:
    check(program, gpu=gpu)


@pytest.mark.parametrize("where", PLANTS)
def test_planted_error_in_a_relu6_kernel_is_caught(where: str, tmp_path: Path) -> None:
    planted = compile_layer("relu6", tmp_path / "planted", plants=[PLANTS[where]], flags=())
    check(planted, gpu=False)
    with pytest.raises(AssertionError, match="Not equal to tolerance"):
        check(planted, gpu=True)
