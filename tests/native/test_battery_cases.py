"""The battery's cases asked of the real Caffe: the oracles' tops and our modules' gradients are Caffe's.

The battery in `tests/unit/engine/modules` runs without a Caffe, so its oracles are what stands for it. Here
every case that Caffe can run goes to Caffe as well, with the case's learned blobs written into the net.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pytest
import torch

from caffeflow.proto.binary import array_to_blob
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.proto.text import format_message
from tests.support.layer_battery import Case, as_tuple, assert_arrays_equal
from tests.support.layer_cases import (
    activations,
    convolution,
    inner_product,
    normalisation,
    pooling,
    scores,
    structure,
)
from tests.support.native import NativeCaffe, Report
from tests.support.native_layers import LayerCase, ask_caffe

pytestmark = pytest.mark.native

FAMILIES = (activations, convolution, inner_product, normalisation, pooling, scores, structure)
FORKS: Final = ("relu6", "depthwiseconvolution", "convolutiondepthwise")

# Caffe aborts when a SoftmaxWithLoss has a second top and two loss weights.
NOT_ASKED: Final = {"softmaxwithloss-probabilities"}

# Caffe writes before the bottom's gradient where a window has no maximum, and crashes some time later.
FORWARD_ONLY: Final = {"pooling-max-beyond-image"}
CASES: Final = [
    case
    for family in FAMILIES
    for case in family.CASES
    if not case.id.startswith(FORKS) and case.id not in NOT_ASKED
]


@dataclass(frozen=True, kw_only=True)
class FromBattery(LayerCase):
    """A case of the battery as the driver wants it."""

    case: Case

    def net(self) -> str:
        """Returns the net with the case's learned blobs in the layer."""
        layer = self.case.facts.node.layer
        made = LayerParameter()
        made.CopyFrom(layer)
        made.bottom[:] = self.bottom_names
        made.top[:] = self.top_names
        made.name = "layer"
        made.blobs.extend(array_to_blob(np.asarray(blob)) for blob in self.case.blob_values())
        inputs = "".join(
            f'layer {{ name: "in_{name}" type: "Input" top: "{name}" input_param {{ shape {{ '
            + " ".join(f"dim: {dim}" for dim in value.shape)
            + " } } }\n"
            for name, value in zip(self.bottom_names, self.case.values(), strict=True)
        )
        text = format_message(made)
        indented = "\n".join(f"  {line}" for line in text.splitlines())
        return f"force_backward: true\n{inputs}layer {{\n{indented}\n}}\n"

    def draw_bottoms(self) -> dict[str, np.ndarray]:
        """Returns the case's values."""
        return dict(zip(self.bottom_names, self.case.values(), strict=True))


def has_gradient(case: Case) -> bool:
    return case.gradient is not None and case.id not in FORWARD_ONLY


def for_caffe(case: Case) -> FromBattery:
    return FromBattery(
        name=case.id,
        bottoms=tuple(value.shape for value in case.values()),
        tops=case.tops,
        phase="TRAIN" if case.phase == "TRAIN" else "TEST",
        in_place=case.in_place,
        backward=has_gradient(case),
        loss=case.facts.spec.default_loss_weight > 0,
        case=case,
    )


@pytest.fixture(scope="module")
def answers(caffe: NativeCaffe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, np.ndarray]]:
    return ask_caffe(caffe, [for_caffe(case) for case in CASES], tmp_path_factory.mktemp("battery"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_caffe_agrees_with_the_battery(case, answers):
    theirs = answers[case.id]
    expected = case.expected(case.values())
    tops = [expected] if isinstance(expected, np.ndarray) else list(expected)
    assert_arrays_equal([theirs[f"top_{place}"] for place in range(case.tops)], tops, tolerance=2e-6)
    if not has_gradient(case):
        return
    module = case.module(double=True)
    bottoms = [torch.from_numpy(value).double() for value in case.values()]
    chosen = range(len(bottoms)) if case.differentiable is None else case.differentiable
    for index in chosen:
        bottoms[index].requires_grad_()
    seeds = [
        (top, torch.from_numpy(theirs[f"top_diff_{place}"]).double())
        for place, top in enumerate(as_tuple(module(*bottoms)))
        if top.requires_grad
    ]
    parameters = list(module.parameters())
    sources = [*(bottoms[index] for index in chosen), *parameters]
    found = torch.autograd.grad([top for top, _ in seeds], sources, [seed for _, seed in seeds])
    wanted = [
        *(theirs[f"bottom_diff_{index}"] for index in chosen),
        *(theirs[f"param_diff_{index}"] for index in range(len(parameters))),
    ]
    assert_arrays_equal(found, wanted, tolerance=5e-6)


def test_the_cases_are_all(report: Report) -> None:
    assert len(CASES) == 162
    report("battery against Caffe", f"{len(CASES)} cases")
