"""The battery's cases as the driver of the real Caffe wants them, and the comparison of its answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from caffeflow.proto.binary import array_to_blob
from caffeflow.proto.caffe_pb2 import LayerParameter
from caffeflow.proto.text import format_message
from tests.support.layer_battery import Case, as_tuple, assert_arrays_equal
from tests.support.native_layers import LayerCase

# Caffe writes before the bottom's gradient where a window has no maximum, and crashes some time later.
FORWARD_ONLY: Final = {"pooling-max-beyond-image"}

# Caffe aborts when it is forced to give gradients to what selects, counts or weighs.
NO_FORCE: Final = {"BatchReindex", "Embed", "Filter", "InfogainLoss"}


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
        force = "force_backward: true\n"
        if self.case.type in NO_FORCE:
            # Gradients of some bottoms only: those with something that learns below, and a loss above.
            force = "".join(
                f'layer {{ name: "learns_{index}" type: "Bias" bottom: "bottom_{index}" top: "bottom_{index}"'
                " bias_param { axis: 0 num_axes: 0 } }\n"
                for index in self.case.differentiable or ()
            )
            made.loss_weight[:] = [1.0] * self.case.tops
        text = format_message(made)
        indented = "\n".join(f"  {line}" for line in text.splitlines())
        return f"{inputs}{force}layer {{\n{indented}\n}}\n"

    def draw_bottoms(self) -> dict[str, np.ndarray]:
        """Returns the case's values; those of blobs too, as Caffe's recurrent layers take none from a net."""
        blobs = {f"blob_{index}": blob for index, blob in enumerate(self.case.blob_values())}
        return dict(zip(self.bottom_names, self.case.values(), strict=True)) | blobs


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


def assert_caffe_agrees(case: Case, theirs: Mapping[str, np.ndarray]) -> None:
    """Asserts that the oracle's tops and our gradients are those of Caffe's answer."""
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
