"""Fillers draw from the real Caffe's distributions: same fans, same spread, same bounds, same sparsity.

The numbers themselves are others, because the generators are; so moments are compared, over 48,000 values.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from caffeflow import fillers
from caffeflow.proto.caffe_pb2 import FillerParameter
from caffeflow.proto.text import parse
from tests.support.native import NativeCaffe
from tests.support.native_layers import LayerCase, ask_caffe

pytestmark = pytest.mark.native

FILLERS = {
    "constant": 'type: "constant" value: 0.3',
    "uniform": 'type: "uniform" min: -2 max: 5',
    "gaussian": 'type: "gaussian" mean: 0.5 std: 0.02',
    "sparse": 'type: "gaussian" std: 1 sparse: 7',
    "xavier": 'type: "xavier"',
    "xavier-fan-out": 'type: "xavier" variance_norm: FAN_OUT',
    "xavier-average": 'type: "xavier" variance_norm: AVERAGE',
    "msra": 'type: "msra"',
    "msra-fan-out": 'type: "msra" variance_norm: FAN_OUT',
    "unit-ball": 'type: "positive_unitball"',
}
LAYERS = {
    "Convolution": "convolution_param {{ num_output: 80 kernel_h: 3 kernel_w: 5 weight_filler {{ {filler} }} }}",
    "InnerProduct": "inner_product_param {{ num_output: 80 weight_filler {{ {filler} }} }}",
    "Deconvolution": "convolution_param {{ num_output: 40 kernel_size: 5 group: 2 weight_filler {{ {filler} }} }}",
}
BOTTOMS = {"Convolution": (1, 40, 6, 7), "InnerProduct": (1, 24, 5, 5), "Deconvolution": (1, 96, 3, 3)}


def case_of(layer: str, name: str, filler: str) -> LayerCase:
    text = LAYERS[layer].format(filler=filler)
    return LayerCase(name=f"{layer}-{name}", text=text, bottoms=(BOTTOMS[layer],), backward=False)


@pytest.fixture(scope="module")
def theirs(caffe: NativeCaffe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    cases = [case_of(layer, name, filler) for layer in LAYERS for name, filler in FILLERS.items()]
    answers = ask_caffe(caffe, cases, tmp_path_factory.mktemp("fillers"))
    return {name: blobs["param_0"] for name, blobs in answers.items()}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("name", FILLERS)
def test_moments_and_bounds(layer: str, name: str, theirs: dict[str, np.ndarray]) -> None:
    expected = theirs[f"{layer}-{name}"].astype(np.float64)
    message = parse(FILLERS[name], FillerParameter(), source=name)
    found = fillers.fill(message, expected.shape, np.random.default_rng(3)).astype(np.float64)
    assert expected.size >= 40_000
    spread = expected.std()
    sampling = 5 * np.sqrt(2 / expected.size)  # five standard errors of a difference
    assert abs(found.mean() - expected.mean()) <= sampling * spread + 1e-7
    assert found.std() == pytest.approx(spread, rel=3 * sampling, abs=1e-7)
    if "uniform" in FILLERS[name] or "xavier" in name or name == "constant":
        assert found.min() == pytest.approx(expected.min(), rel=2e-3)
        assert found.max() == pytest.approx(expected.max(), rel=2e-3)
    assert (found == 0).mean() == pytest.approx((expected == 0).mean(), abs=sampling)


def test_bilinear_kernels_are_the_same(caffe: NativeCaffe, tmp_path: Path) -> None:
    kernels = {
        size: LayerCase(
            name=f"Deconvolution-{size}",
            text=f'convolution_param {{ num_output: 2 group: 2 kernel_size: {size} bias_term: false'
            ' weight_filler { type: "bilinear" } }',
            bottoms=((1, 2, 3, 3),), backward=False,
        )
        for size in (2, 3, 4, 5, 6, 8)
    }  # fmt: skip
    answers = ask_caffe(caffe, list(kernels.values()), tmp_path)
    message = parse('type: "bilinear"', FillerParameter(), source="bilinear")
    for size, case in kernels.items():
        expected = answers[case.name]["param_0"]
        assert expected.shape == (2, 1, size, size)
        found = fillers.fill(message, expected.shape, np.random.default_rng(3))
        np.testing.assert_allclose(found, expected, rtol=3e-7)
