"""The battery's cases asked of the real Caffe: the oracles' tops and our modules' gradients are Caffe's.

The battery in `tests/unit/engine/modules` runs without a Caffe, so its oracles are what stands for it. Here
every case that Caffe can run goes to Caffe as well, with the case's learned blobs written into the net.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pytest

from tests.support.layer_cases import (
    activations,
    convolution,
    inner_product,
    label_losses,
    normalisation,
    pooling,
    recurrent,
    scores,
    selection,
    structure,
)
from tests.support.native import NativeCaffe, Report
from tests.support.native_battery import assert_caffe_agrees, for_caffe
from tests.support.native_layers import ask_caffe

pytestmark = pytest.mark.native

FAMILIES = (
    activations, convolution, inner_product, label_losses, normalisation, pooling, recurrent, scores, selection,
    structure,
)  # fmt: skip
FORKS: Final = ("relu6", "depthwiseconvolution", "convolutiondepthwise")

# Caffe aborts when a SoftmaxWithLoss has a second top and two loss weights.
NOT_ASKED: Final = {"softmaxwithloss-probabilities"}

# Caffe has this on a GPU only.
WITHOUT_CPU: Final = "pooling-stochastic"

CASES: Final = [
    case
    for family in FAMILIES
    for case in family.CASES
    if not case.id.startswith((*FORKS, WITHOUT_CPU)) and case.id not in NOT_ASKED
]


@pytest.fixture(scope="module")
def answers(caffe: NativeCaffe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    return ask_caffe(caffe, [for_caffe(case) for case in CASES], tmp_path_factory.mktemp("battery"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_caffe_agrees_with_the_battery(case, answers):
    assert_caffe_agrees(case, answers[case.id])


def test_the_cases_are_all(report: Report) -> None:
    assert len(CASES) == 228
    report("battery against Caffe", f"{len(CASES)} cases")
