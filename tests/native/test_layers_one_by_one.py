"""Each layer type alone: fed with Caffe's own bottoms and top gradients, ours gives what Caffe gives.

Compared are tops, learned blobs after the forward pass, and the gradients of bottoms and learned blobs,
each within 1e-5 of its largest entry. Convolutions and inner products are held to 1e-5 of the largest
entry too, though a sum's rounding may grow with the sum of its absolute terms.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

import caffeflow.engine.modules  # noqa: F401 - fills the table
from caffeflow.engine.modules.registry import MODULES, Setup, build_module
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

# Types that have no case: they draw at random, or make their data themselves.
WITHOUT_CASE = {"Input", "Data", "ImageData", "DummyData", "Dropout", "Python", "Parameter"}
COMPARABLE = [case for case in CASES if case.type in MODULES]


@pytest.fixture(scope="module")
def answers(caffe: NativeCaffe, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Blobs]:
    return ask_caffe(caffe, COMPARABLE, tmp_path_factory.mktemp("layers"))


def run_ours(case: LayerCase, theirs: Blobs) -> Blobs:
    """Runs our module on Caffe's learned blobs and top gradients."""
    net = filter_net(parse(case.net(), NetParameter(), source=case.name), net_state(case.phase))
    facts = infer(build_graph(net)).layers[-1]
    module = build_module(
        Setup(
            layer=facts.node.layer,
            params=facts.params,
            bottoms=facts.bottoms,
            tops=facts.tops,
            phase=case.phase,
        )
    )
    for index, blob in enumerate(module.learned):
        blob.data.copy_(torch.from_numpy(theirs[f"param_{index}"]))
    bottoms = [
        torch.from_numpy(array).requires_grad_(case.backward) for array in case.draw_bottoms().values()
    ]
    result = module(*bottoms)
    tops = result if isinstance(result, tuple) else (result,)
    ours: Blobs = {}
    for index, top in enumerate(tops):
        ours[f"top_{index}"] = top.detach().numpy()
    for index, blob in enumerate(module.learned):
        ours[f"param_after_{index}"] = blob.detach().numpy()
    if case.backward:
        diffs = [torch.from_numpy(theirs[f"top_diff_{index}"]) for index in range(len(tops))]
        torch.autograd.backward(tops, diffs)
        for kind, tensors in (("bottom", bottoms), ("param", module.learned)):
            for index, tensor in enumerate(tensors):
                if tensor.grad is not None:
                    ours[f"{kind}_diff_{index}"] = tensor.grad.numpy()
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
        if name not in ours:  # a bottom or blob that gets no gradient: Caffe's is what it began with
            assert "_diff_" in name, name
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
