"""Drawn layers asked of the real Caffe and computed here, and how far both are apart.

The measure is the largest difference in parts of the largest entry; for layers that are sums, of the largest
sum of absolute terms, which is what their own module gives for the absolute values of all that goes in.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from caffeflow import system
from caffeflow.engine.modules.registry import LayerModule
from caffeflow.engine.net import Net
from caffeflow.engine.stepwise import StepwiseExecutor
from caffeflow.engine.training import FusedExecutor
from caffeflow.layers.inference import infer
from caffeflow.proto.caffe_pb2 import NetParameter
from caffeflow.proto.graph import build_graph
from caffeflow.proto.net import filter_net, net_state
from caffeflow.proto.text import parse
from tests.support.drawn_layers.configuration import Configuration
from tests.support.native import NativeCaffe, environment
from tests.support.native_layers import DRIVER

Blobs = dict[str, np.ndarray]

TOLERANCE: Final = 1e-5

# What is linear in each of its bottoms and blobs: absolute values in give sums of absolute terms out.
SUMS: Final = frozenset(
    {
        "Bias", "Convolution", "Deconvolution", "Embed", "Im2col", "InnerProduct", "Reduction", "Scale", "Tile",
        "ConvolutionDepthwise", "DepthwiseConvolution",
    }
)  # fmt: skip

# What learns factors of an otherwise known value: the terms of their gradient have the sign of the bottom's.
FACTORS: Final = frozenset({"Normalize", "PReLU"})


@dataclass(frozen=True)
class Died:
    """Caffe ended while it ran a configuration.

    Attributes:
        words: The last lines that it wrote.
    """

    words: str


def ask(caffe: NativeCaffe, configurations: Sequence[Configuration], folder: Path) -> list[Blobs | Died]:
    """Returns what Caffe answers to each; a process that dies costs one answer, and another goes on."""
    folder.mkdir(exist_ok=True)
    orders = []
    for number, each in enumerate(configurations):
        (folder / f"{number}.prototxt").write_text(each.text())
        np.savez(folder / f"{number}.in.npz", **each.inputs())
        orders.append(
            {
                "name": str(number),
                "prototxt": f"{number}.prototxt",
                "layer": "layer",
                "seed": each.seed,
                "bottoms": each.bottom_names,
                "tops": each.top_names,
                "phase": each.phase,
                "backward": each.backward,
                "loss": each.keeps_loss_weights,
            }
        )
    answers: list[Blobs | Died] = []
    while len(answers) < len(orders):
        (folder / "cases.json").write_text(json.dumps(orders[len(answers) :]))
        done = system.run([caffe.tool("python"), DRIVER, folder], env=environment(threads=1))
        while len(answers) < len(orders) and (folder / f"{len(answers)}.out.npz").is_file():
            with np.load(folder / f"{len(answers)}.out.npz") as file:
                answers.append(dict(file))
        if len(answers) < len(orders):
            assert done.returncode != 0, "Caffe ended well, but left an answer out"
            answers.append(Died(done.output[-1500:]))
    return answers


@dataclass(frozen=True)
class Differences:
    """How far the two are apart; None where neither has such blobs."""

    tops: float | None
    bottom_diffs: float | None
    param_diffs: float | None

    @property
    def worst(self) -> float:
        """The largest of all."""
        return max(
            (value for value in (self.tops, self.bottom_diffs, self.param_diffs) if value is not None),
            default=0,
        )


EQUAL: Final = Differences(tops=0.0, bottom_diffs=None, param_diffs=None)


def compare(configuration: Configuration, theirs: Blobs) -> Differences:
    """Returns how far our executors are from Caffe's answer.

    Raises:
        CaffeflowError: The engine refuses the net.
    """
    ours = run_stepwise(configuration, theirs)
    scales = _scales(configuration, theirs)
    found: dict[str, list[float]] = {"top": [], "bottom_diff": [], "param_diff": []}
    for name, kind in _compared(configuration, theirs):
        if name not in ours:  # a blob that learns nothing, such as BatchNorm's statistics
            assert not theirs[name].any(), f"{name}: Caffe has a gradient, we have none"
            continue
        found[kind].append(_difference(ours[name], theirs[name], scale=scales.get(name)))
    for name, array in run_fused(configuration, theirs).items():
        found["top"].append(_difference(array, theirs[name], scale=scales.get(name)))
    return Differences(*(max(each) if each else None for each in found.values()))


def _compared(configuration: Configuration, theirs: Blobs) -> Iterator[tuple[str, str]]:
    """Yields the names of what is compared, with the column that it counts for."""
    for place in range(len(configuration.top_names)):
        yield f"top_{place}", "top"
        if configuration.keeps_loss_weights:
            yield f"top_diff_{place}", "top"
    for place, gets in enumerate(_gets_gradient(configuration)):
        if gets:
            yield f"bottom_diff_{place}", "bottom_diff"
    for name in theirs:
        if name.startswith("param_after_"):
            yield name, "top"
        elif name.startswith("param_diff_"):
            yield name, "param_diff"


def _gets_gradient(configuration: Configuration) -> list[bool]:
    gets = [bottom.gradient and configuration.backward for bottom in configuration.bottoms]
    cut = configuration.layer.propagate_down or [True] * len(gets)
    return [one and other for one, other in zip(gets, cut, strict=True)]


def _difference(ours: np.ndarray, theirs: np.ndarray, *, scale: float | None) -> float:
    if ours.shape != theirs.shape or not (np.isfinite(ours).all() and np.isfinite(theirs).all()):
        return 0.0 if np.array_equal(ours, theirs, equal_nan=True) else float("inf")
    largest = float(np.abs(theirs).max(initial=0)) if scale is None else scale
    return float(np.abs(ours.astype(np.float64) - theirs).max(initial=0)) / (largest or 1.0)


def _net(configuration: Configuration, theirs: Blobs) -> Net:
    """Returns our net with Caffe's learned blobs."""
    net = _build(configuration)
    for index, blob in enumerate(net.layers[-1].tensors):
        blob.data.copy_(torch.from_numpy(theirs[f"param_{index}"]))
    return net


def _build(configuration: Configuration) -> Net:
    text = parse(configuration.text(), NetParameter(), source=configuration.layer.type)
    graph = build_graph(filter_net(text, net_state(configuration.phase)))
    return Net(graph, infer(graph), seed=None)


def _feeds(configuration: Configuration) -> dict[str, tuple[torch.Tensor, ...]]:
    inputs = configuration.inputs()
    return {f"in_{name}": (torch.from_numpy(inputs[name]),) for name in configuration.bottom_names}


def run_stepwise(configuration: Configuration, theirs: Blobs) -> Blobs:
    """Runs the stepwise executor on Caffe's learned blobs and top gradients."""
    net = _net(configuration, theirs)
    stepwise = StepwiseExecutor(net, gradients=configuration.backward)
    stepwise.forward(_feeds(configuration))
    tops = configuration.top_names
    ours = {f"top_{place}": stepwise.data[blob].numpy().copy() for place, blob in enumerate(tops)}
    learned = net.layers[-1].tensors
    ours |= {f"param_after_{index}": blob.detach().numpy().copy() for index, blob in enumerate(learned)}
    if not configuration.backward:
        return ours
    for place, blob in enumerate(tops):
        ours[f"top_diff_{place}"] = stepwise.diff[blob].numpy().copy()
        stepwise.diff[blob].copy_(torch.from_numpy(theirs[f"top_diff_{place}"]))
    stepwise.backward()
    ours |= {
        f"bottom_diff_{place}": stepwise.diff[blob].numpy()
        for place, blob in enumerate(configuration.bottom_names)
    }
    ours |= {
        f"param_diff_{index}": tensor.grad.numpy()
        for index, tensor in enumerate(learned)
        if tensor.grad is not None
    }
    return ours


def run_alone(configuration: Configuration) -> None:
    """Runs a net with learned blobs of zero, to see whether the engine takes it.

    Raises:
        CaffeflowError: It does not.
    """
    StepwiseExecutor(_build(configuration), gradients=configuration.backward).forward(_feeds(configuration))


def run_fused(configuration: Configuration, theirs: Blobs) -> Blobs:
    """Runs the training executor: tops, and the gradients of learned blobs where the top gradients are weights."""
    net = _net(configuration, theirs)
    result = FusedExecutor(net, keep=configuration.top_names).forward(_feeds(configuration))
    ours = {
        f"top_{place}": result.outputs[blob].detach().numpy()
        for place, blob in enumerate(configuration.top_names)
    }
    if configuration.keeps_loss_weights and configuration.phase == "TRAIN" and result.loss.requires_grad:
        result.loss.backward()
        ours |= {
            f"param_diff_{index}": tensor.grad.numpy()
            for index, tensor in enumerate(net.layers[-1].tensors)
            if tensor.grad is not None
        }
    return ours


def _scales(configuration: Configuration, theirs: Blobs) -> Mapping[str, float]:
    """Returns the largest sum of absolute terms of those blobs of a layer that are sums."""
    kind = configuration.layer.type
    if kind in SUMS:
        return _absolute_sums(configuration, theirs)
    if kind in FACTORS and configuration.backward:
        module, bottoms = _in_double(configuration, theirs)
        (top,) = _tops(module, bottoms)
        terms = _given(theirs["top_diff_0"]).abs() * bottoms[0].sign()
        learned = [tensor for tensor in module.learned if tensor.requires_grad]
        grads = torch.autograd.grad(top, learned, terms) if learned else ()
        return {f"param_diff_{index}": _largest(grad) for index, grad in enumerate(grads)}
    return {}


def _absolute_sums(configuration: Configuration, theirs: Blobs) -> Mapping[str, float]:
    module, bottoms = _in_double(configuration, theirs)
    gets = _gets_gradient(configuration)
    for tensor in module.learned:
        tensor.data.abs_()
    bottoms = [bottom.abs().requires_grad_(needs) for bottom, needs in zip(bottoms, gets, strict=True)]
    tops = _tops(module, bottoms)
    scales = {f"top_{place}": _largest(top) for place, top in enumerate(tops)}
    outs = [(place, top) for place, top in enumerate(tops) if top.requires_grad]
    if not configuration.backward or not outs:
        return scales
    sources = {f"bottom_diff_{place}": bottom for place, bottom in enumerate(bottoms) if bottom.requires_grad}
    sources |= {
        f"param_diff_{index}": tensor for index, tensor in enumerate(module.learned) if tensor.requires_grad
    }
    diffs = [_given(theirs[f"top_diff_{place}"]).abs() for place, _ in outs]
    grads = torch.autograd.grad([top for _, top in outs], [*sources.values()], diffs, allow_unused=True)
    found = zip(sources, grads, strict=True)
    return scales | {name: _largest(grad) for name, grad in found if grad is not None}


def _in_double(configuration: Configuration, theirs: Blobs) -> tuple[LayerModule, list[torch.Tensor]]:
    """Returns the layer's module with Caffe's learned blobs and its bottoms, in double precision."""
    module = copy.deepcopy(_net(configuration, theirs).layers[-1].module).double()
    inputs = configuration.inputs()
    return module, [_given(inputs[name]) for name in configuration.bottom_names]


def _given(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.asarray(array)).double()


def _tops(module: LayerModule, bottoms: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    made = module(*bottoms)
    return made if isinstance(made, tuple) else (made,)


def _largest(tensor: torch.Tensor) -> float:
    return float(tensor.detach().abs().max()) if tensor.numel() else 0.0
