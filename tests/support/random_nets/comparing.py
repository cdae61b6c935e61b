"""A random net of ours beside the real Caffe's: five comparisons, each with its bound.

The one rule to know: a difference counts in parts of the largest entry of Caffe's array, or, where the
entries are sums of products, of the largest sum of absolute terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby, zip_longest
from typing import Final

import numpy as np
from torch import Tensor

from caffeflow.engine.needs import needed_gradients
from caffeflow.engine.net import Net
from caffeflow.errors import CaffeflowError
from caffeflow.proto.graph import Value
from caffeflow.proto.splits import place_splits
from tests.support.native_random_nets import CaffeAnswer, CaffeLayer
from tests.support.random_nets.alone import Alone
from tests.support.random_nets.drawing import RandomNet
from tests.support.random_nets.running import Whole, build, needs_of, run_fused, run_stepwise
from tests.support.random_nets.verdict import Verdict, largest

LAYER: Final = 1e-5
LOSS: Final = 1e-5
BLOB: Final = 1e-4
GRADIENT: Final = 1e-4

_Links = tuple[str, str, tuple[str, ...], tuple[str, ...]]
"""A layer's name, type, bottoms and tops."""

_UNASKED: Final = frozenset({"BatchNorm", "Im2col", "LRN", "LSTM", "LSTMUnit", "MVN", "RNN", "Softmax"})
_SHARING: Final = frozenset({"Concat", "Flatten", "Reshape"})
_SCRATCH: Final = frozenset({"HingeLoss", "Scale"})
_WRITES_ANYWAY: Final = _UNASKED | _SHARING | _SCRATCH
"""Types that write a bottom's gradient where nobody asks for it, share its memory or use it for notes."""


def compare(drawn: RandomNet, answer: CaffeAnswer) -> Verdict:
    """Returns how far our engine agrees with Caffe on a net."""
    verdict = Verdict()
    try:
        _compare(drawn, answer, verdict)
    except CaffeflowError as error:
        verdict.fail("what Caffe runs is refused", "net", str(error))
    return verdict


def _compare(drawn: RandomNet, answer: CaffeAnswer, verdict: Verdict) -> None:
    net = build(drawn, answer)
    compare_graphs(net, answer, verdict)
    alone = _compare_layers(drawn, net, answer, verdict)
    stepwise, fused = run_stepwise(drawn, answer), run_fused(drawn, answer)
    for name, whole in (("stepwise", stepwise), ("training", fused)):
        _compare_forward(name, whole, answer, verdict)
    if drawn.smooth:
        sizes = _Sizes(drawn, net, answer, alone)
        _compare_gradients(net, stepwise, answer, verdict, sizes)
        _compare_learned("stepwise", net, stepwise, answer, verdict, sizes)
        if drawn.phase == "TRAIN":
            _compare_learned("training", net, fused, answer, verdict, sizes)


def compare_graphs(net: Net, answer: CaffeAnswer, verdict: Verdict) -> None:
    """Compares what is known before anything runs: layers and links with Caffe's Splits, shapes, who runs backward."""
    check = "graph"
    placed = [each.layer for each in place_splits(net.graph)]
    ours = [(each.name, each.type, tuple(each.bottom), tuple(each.top)) for each in placed]
    theirs = [(layer.name, layer.type, layer.bottoms, layer.tops) for layer in answer.layers]
    for our, their in zip_longest(_sort_splits(ours), _sort_splits(theirs)):
        verdict.same(check, "layer, its type, bottoms and tops", our, their)
    verdict.same(check, "inputs", tuple(_inputs(net)), answer.inputs)
    verdict.same(check, "outputs", tuple(output.value.blob for output in net.outputs), answer.outputs)
    # Caffe: what force_backward adds is not in the lines that it logs (net.cpp Init).
    needs = needed_gradients(net.layers, force=False)
    for layer in net.layers:
        their = answer.layer(layer.name)
        verdict.same(
            check, f"{layer.name}: runs backward", layer.facts.node.index in needs, their.runs_backward
        )
        shapes = [array.shape for array in answer.of("param", their)]
        verdict.same(
            check, f"{layer.name}: learned blobs", [blob.shape for blob in layer.facts.blobs], shapes
        )
        weights = tuple(answer.weights[top] for top in their.tops)
        verdict.same(check, f"{layer.name}: loss weights", layer.loss_weights[: len(weights)], weights)


def _sort_splits(layers: Sequence[_Links]) -> list[_Links]:
    """Returns layers with each run of Splits in order of names: those of one layer's tops come in any order."""
    runs = groupby(layers, key=lambda links: links[1] == "Split")
    return [links for are_splits, run in runs for links in (sorted(run) if are_splits else run)]


def _inputs(net: Net) -> list[str]:
    return [top.blob for layer in net.layers if layer.type == "Input" for top in layer.facts.node.tops]


def _compare_layers(drawn: RandomNet, net: Net, answer: CaffeAnswer, verdict: Verdict) -> dict[str, Alone]:
    needs = needs_of(drawn, net)
    alone = {}
    for layer in net.layers:
        if layer.is_fed:
            continue
        their = answer.layer(layer.name)
        wanted = needs.get(layer.facts.node.index, (False,) * len(their.bottoms))
        made = alone[layer.name] = Alone(layer, answer.of("bottom", their), wanted)
        where = f"{layer.name} ({layer.type})"
        _compare_tops(where, made, answer, their, verdict)
        if layer.facts.node.index in needs:
            _compare_diffs(where, made, answer, their, verdict)
    return alone


def _compare_tops(where: str, made: Alone, answer: CaffeAnswer, their: CaffeLayer, verdict: Verdict) -> None:
    for place, theirs in enumerate(answer.of("top", their)):
        size = made.sizes[place] if made.sizes else 0.0
        verdict.arrays(
            "layer: tops", f"{where} top {place}", made.tops[place], theirs, bound=LAYER, size=size
        )
    for place, theirs in enumerate(answer.of("param_after", their)):
        verdict.arrays(
            "layer: learned blobs", f"{where} blob {place}", made.after[place], theirs, bound=LAYER
        )


def _compare_diffs(where: str, made: Alone, answer: CaffeAnswer, their: CaffeLayer, verdict: Verdict) -> None:
    seeds = answer.of("top_diff", their)
    ours, sizes = made.gradients(seeds), made.magnitudes(seeds)
    for place, theirs in enumerate(answer.of("bottom_diff", their)):
        found = ours.bottoms[place]
        if found is not None:
            size = largest(sizes.bottoms[place])
            verdict.arrays(
                "layer: bottom gradients", f"{where} bottom {place}", found, theirs, bound=LAYER, size=size
            )
        elif their.type not in _WRITES_ANYWAY and their.bottoms[place] not in their.tops:
            check = "layer: bottoms without a gradient"
            verdict.same(check, f"{where} bottom {place}", "zeros", "something" if theirs.any() else "zeros")
    if their.type == "Parameter":
        return  # Caffe's gradient of its blob is that of its top, and is there already
    for place, theirs in enumerate(answer.of("param_diff", their)):
        found = ours.learned[place]
        verdict.arrays(
            "layer: gradients of learned blobs",
            f"{where} blob {place}",
            np.zeros_like(theirs) if found is None else found,
            theirs,
            bound=LAYER,
            size=largest(sizes.learned[place]),
        )


def _compare_forward(executor: str, whole: Whole, answer: CaffeAnswer, verdict: Verdict) -> None:
    loss = abs(whole.loss - answer.loss) / max(abs(answer.loss), 1e-3)
    verdict.figure(f"{executor}: loss", "net", loss, bound=LOSS)
    for (name, place), values in whole.tops.items():
        theirs = answer.of("top", answer.layer(name))[place]
        verdict.arrays(f"{executor}: blobs", f"{name} top {place}", values, theirs, bound=BLOB)


class _Sizes:
    """How large gradients would be if nothing cancelled on their way down from the losses.

    What cancels at one layer leaves rounding for all layers below, so sizes go down through the whole net: each
    layer's from those of its tops.
    """

    def __init__(self, drawn: RandomNet, net: Net, answer: CaffeAnswer, alone: Mapping[str, Alone]) -> None:
        self.tops: Final[dict[Value, np.ndarray]] = {}
        self._owners: Final = {
            id(tensor): number for number, learned in enumerate(net.learned) for tensor in learned.tensors
        }
        self._learned: Final[dict[int, float]] = dict.fromkeys(self._owners.values(), 0.0)
        self.needs: Final = needs_of(drawn, net)
        for layer in reversed(net.layers):
            if layer.is_fed or layer.facts.node.index not in self.needs:
                continue
            seeds = answer.of("top_diff", answer.layer(layer.name))
            for place, top in enumerate(layer.facts.node.tops):
                seeds[place] = self.tops[top] = np.maximum(self.tops.get(top, 0.0), np.abs(seeds[place]))
            found = alone[layer.name].magnitudes(seeds)
            for bottom, size in zip(layer.facts.node.bottoms, found.bottoms, strict=True):
                if size is not None:
                    self.tops[bottom] = self.tops.get(bottom, 0.0) + size
            for tensor, size in zip(layer.tensors, found.learned, strict=True):
                self._learned[self._owners[id(tensor)]] += largest(size)

    def of_learned(self, tensor: Tensor) -> float:
        """Returns the largest entry of a learned blob's gradient, from all layers that share it."""
        return self._learned[self._owners[id(tensor)]]


def _compare_gradients(net: Net, whole: Whole, answer: CaffeAnswer, verdict: Verdict, sizes: _Sizes) -> None:
    for layer in net.layers:
        theirs = answer.of("top_diff", answer.layer(layer.name))
        for place, (top, diff) in enumerate(zip(layer.facts.node.tops, theirs, strict=False)):
            # Of what does not learn, Caffe's Split does not add up the gradients of the readers.
            is_whole = layer.facts.node.index in sizes.needs or len(list(net.graph.readers(top))) == 1
            if top in sizes.tops and not layer.is_fed and is_whole:
                verdict.arrays(
                    "stepwise: gradients of blobs",
                    f"{layer.name} top {place}",
                    whole.diffs[layer.name, place],
                    diff,
                    bound=GRADIENT,
                    size=largest(sizes.tops[top]),
                )


def _compare_learned(
    executor: str, net: Net, whole: Whole, answer: CaffeAnswer, verdict: Verdict, sizes: _Sizes
) -> None:
    for layer in net.layers:
        for place, theirs in enumerate(answer.of("diff", answer.layer(layer.name))):
            found = whole.learned[layer.name, place]
            verdict.arrays(
                f"{executor}: gradients of learned blobs",
                f"{layer.name} ({layer.type}) blob {place}",
                np.zeros_like(theirs) if found is None else found,
                theirs,
                bound=GRADIENT,
                size=sizes.of_learned(layer.tensors[place]),
            )
