"""The layers of Caffe's SSD fork asked of the fork itself, as the battery's cases are asked of BVLC's Caffe.

No distribution packages the fork: the tests run where CAFFEFLOW_SSD_CAFFE names a build, a folder with
`tools/caffe` and `tools/python` (a Python that imports the fork's pycaffe). With ReLU6 and tf_pad in it, as
in chuanqi305's, all cases can be asked.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pytest
import torch

from caffeflow.engine.modules.registry import Setup, build_module
from caffeflow.layers.spec import spec_for
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.proto.text import parse
from tests.support.layer_battery import assert_arrays_equal
from tests.support.layer_cases import activations, detection
from tests.support.multibox_scenes import drawn_settings, scene, text_of
from tests.support.native import NativeCaffe, Report
from tests.support.native_battery import assert_caffe_agrees, for_caffe
from tests.support.native_layers import LayerCase, ask_caffe

pytestmark = pytest.mark.native

# Its SmoothL1Loss has code for a third bottom, of weights, and refuses it all the same: the base class wants two.
# Its DetectionOutput decodes no boxes at all where no class is the background, and dies.
NOT_ASKED: Final = {"smoothl1loss-weights", "smoothl1loss-maps", "detectionoutput-no-background"}

CASES: Final = [
    case
    for case in (*detection.CASES, *(case for case in activations.CASES if case.id.startswith("relu6")))
    if case.id not in NOT_ASKED
]
MULTIBOX_CASES: Final = 200


@pytest.fixture(scope="module")
def answers(
    ssd_caffe: NativeCaffe, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, np.ndarray]]:
    return ask_caffe(ssd_caffe, [for_caffe(case) for case in CASES], tmp_path_factory.mktemp("battery"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_fork_agrees_with_the_battery(case, answers):
    assert_caffe_agrees(case, answers[case.id])


@dataclass(frozen=True, kw_only=True)
class MultiBox(LayerCase):
    """A drawn MultiBoxLoss; loc and conf come through layers that learn, for gradients to reach them.

    With force_backward, which the other cases have, the fork wants gradients of the priors, and dies.
    """

    settings: str
    arrays: tuple[np.ndarray, ...]

    def net(self) -> str:
        """Returns a net of inputs, two scales by one, and the loss."""
        inputs = "".join(
            f'layer {{ name: "in_{name}" type: "Input" top: "{name}" input_param {{ shape {{ '
            + " ".join(f"dim: {dim}" for dim in array.shape)
            + " } } }\n"
            for name, array in zip(self.bottom_names, self.arrays, strict=True)
        )
        scales = "".join(
            f'layer {{ name: "{top}" type: "Scale" bottom: "{bottom}" top: "{top}" '
            "scale_param { axis: 0 num_axes: 0 filler { value: 1 } } }\n"
            for bottom, top in zip(self.bottom_names, self.diffs, strict=False)
        )
        bottoms = " ".join(f'bottom: "{name}"' for name in (*self.diffs, *self.bottom_names[2:]))
        return f'{inputs}{scales}layer {{ name: "layer" {bottoms} top: "top_0" {self.settings} }}\n'

    def draw_bottoms(self) -> dict[str, np.ndarray]:
        """Returns the drawn batch."""
        return dict(zip(self.bottom_names, self.arrays, strict=True))


def drawn_multibox(seed: int) -> MultiBox | None:
    """A drawn case without ties, which the fork breaks in no order; None for settings that it dies of."""
    settings = drawn_settings(seed)
    if settings.background != 0:
        return None
    random = np.random.default_rng(seed)
    batch = scene(settings, seed=seed, count=17, boxes=random.permutation([0, *random.integers(1, 6, 2)]))
    for array in (batch.conf, batch.priors[:, :1]):
        array += random.normal(0, 1e-3, array.shape)
    arrays = tuple(batch.bottoms())
    return MultiBox(
        name=f"MultiBoxLoss-{seed}",
        bottoms=tuple(array.shape for array in arrays),
        diffs=("loc", "conf"),
        loss=True,
        settings=text_of(settings),
        arrays=arrays,
    )


def test_fork_agrees_with_drawn_multibox_losses(
    ssd_caffe: NativeCaffe, tmp_path: Path, report: Report
) -> None:
    cases = [case for case in map(drawn_multibox, range(MULTIBOX_CASES)) if case is not None]
    answers = ask_caffe(ssd_caffe, cases, tmp_path)
    for case in cases:
        layer = parse(f'name: "mbox" {case.settings}', LayerParameter(), source=case.name)
        params = spec_for(layer).read(layer)
        tops = tuple(spec_for(layer).shapes(params, case.bottoms))
        module = build_module(
            Setup(layer=layer, params=params, bottoms=case.bottoms, tops=tops, phase="TRAIN")
        )
        loc, conf, *rest = map(torch.from_numpy, case.arrays)
        loss = module(loc.requires_grad_(), conf.requires_grad_(), *rest)
        found = [loss, *torch.autograd.grad(loss, (loc, conf))]
        theirs = answers[case.name]
        expected = [theirs[name] for name in ("top_0", "diff_loc", "diff_conf")]
        assert_arrays_equal([each.detach().numpy() for each in found], expected, tolerance=5e-6)
    assert len(cases) == 136
    report("drawn MultiBoxLoss against the SSD fork", f"{len(cases)} cases: loss and both gradients")


def test_the_cases_are_all(ssd_caffe: NativeCaffe, report: Report) -> None:
    assert len(CASES) == 73
    report("battery against the SSD fork", f"{len(CASES)} cases")
