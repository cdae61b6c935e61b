"""Each layer type alone: fed with Caffe's own bottoms and top gradients, ours gives what Caffe gives.

Compared are tops, learned blobs after the forward pass, and the gradients of bottoms and learned blobs,
each within 1e-5 of its largest entry. Convolutions and inner products are held to 1e-5 of the largest
entry too, though a sum's rounding may grow with the sum of its absolute terms.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffeflow.engine.modules.registry import MODULES
from caffeflow.engine.net import Net
from caffeflow.engine.stepwise import StepwiseExecutor
from caffeflow.layers.inference import infer
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import parse
from tests.support.native import NativeCaffe, Report
from tests.support.native_layers import CASES, LayerCase, ask_caffe

pytestmark = pytest.mark.native

TOLERANCE = 1e-5
Blobs = dict[str, np.ndarray]

# Types that have no case: they make data, read it or write it.
WITHOUT_CASE = {
    "Input", "Data", "ImageData", "DummyData", "HDF5Data", "HDF5Output", "MemoryData", "Python", "WindowData",
}  # fmt: skip
COMPARABLE = [case for case in CASES if case.type in MODULES]


@pytest.fixture(scope="module")
def answers(caffe: NativeCaffe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Blobs]:
    return ask_caffe(caffe, COMPARABLE, tmp_path_factory.mktemp("layers"))


def run_ours(case: LayerCase, theirs: Blobs) -> Blobs:
    """Runs our layer on Caffe's learned blobs and top gradients."""
    role = filter_net(parse(case.net(), NetParameter(), source=case.name), net_state(case.phase))
    graph = build_graph(role)
    net = Net(graph, infer(graph), seed=None)
    learned = net.layers[-1].tensors
    for index, blob in enumerate(learned):
        blob.data.copy_(torch.from_numpy(theirs[f"param_{index}"]))
    stepwise = StepwiseExecutor(net, gradients=case.backward, force_backward=True)
    feeds = {f"in_{name}": (torch.from_numpy(array),) for name, array in case.draw_bottoms().items()}
    stepwise.forward(feeds)
    ours = {f"top_{place}": stepwise.data[blob].numpy().copy() for place, blob in enumerate(case.top_names)}
    for index, blob in enumerate(learned):
        ours[f"param_after_{index}"] = blob.detach().numpy().copy()
    if case.backward:
        for place, blob in enumerate(case.top_names):
            stepwise.diff[blob].copy_(torch.from_numpy(theirs[f"top_diff_{place}"]))
        stepwise.backward()
        for place, blob in enumerate(case.bottom_names):
            ours[f"bottom_diff_{place}"] = stepwise.diff[blob].numpy()
        for index, tensor in enumerate(learned):
            if tensor.grad is not None:
                ours[f"param_diff_{index}"] = tensor.grad.numpy()
    return ours


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Returns the largest difference, in parts of the largest entry."""
    largest = float(np.abs(theirs).max(initial=0))
    return float(np.abs(ours.astype(np.float64) - theirs).max(initial=0)) / (largest or 1.0)


@pytest.mark.parametrize("case", COMPARABLE, ids=lambda case: case.name)
def test_layer_computes_what_caffe_computes(
    case: LayerCase, answers: dict[str, Blobs], report: Report
) -> None:
    theirs = answers[case.name]
    ours = run_ours(case, theirs)
    given = {name for name in theirs if name.startswith("top_diff") or name in _params_before(theirs)}
    for name in sorted(theirs.keys() - given):
        if name not in ours:  # a blob that learns nothing, such as BatchNorm's statistics
            assert name.startswith("param_diff_"), name
            assert not theirs[name].any(), f"{name}: Caffe has a gradient, we have none"
            continue
        assert ours[name].shape == theirs[name].shape, name
        assert difference(ours[name], theirs[name]) <= TOLERANCE, name
    worst = max((difference(ours[name], theirs[name]) for name in ours), default=0.0)
    _WORST[case.name] = worst
    name, value = max(_WORST.items(), key=lambda item: item[1])
    report(
        "layer by layer", f"{len(_WORST)} cases, largest difference {value:.1e} of the largest entry ({name})"
    )


_WORST: dict[str, float] = {}


def _params_before(theirs: Blobs) -> set[str]:
    return {name for name in theirs if name.removeprefix("param_").isdigit()}


def test_every_layer_type_of_both_has_a_case(caffe: NativeCaffe) -> None:
    both = set(MODULES) & set(caffe.facts()["layer_types"])
    assert both - WITHOUT_CASE == {case.type for case in COMPARABLE}
