"""Whether two nets compute the same: both run on the same batches, and their outputs are compared.

The one rule to know: a difference is measured in shares of the largest value, and both nets run in double
precision, since single precision's rounding alone would drive deep nets apart. Where an output jumps on a
tie (boxes found, the best class), what it is made from is compared in its place; where it hides
differences (probabilities near 1), what it is made from is compared as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from caffeflow.errors import CheckError, NetError
from caffeflow.proto.graph import Node
from caffeflow.proto.stages import SCORES_OF

if TYPE_CHECKING:
    from caffeflow.engine.net import Net
    from caffeflow.engine.training import Feeds

TOLERANCE: Final = 1e-4
"""Of the largest value: what rounding in another order makes, and no mistake in a layer stays below."""

Pairs = Sequence[tuple[str, str]]
"""A blob of the one net, and the blob of the other that is to equal it."""

# Types whose outputs jump, and how many of their bottoms are worth comparing (the rest are labels, priors).
_JUMPING: Final[Mapping[str, int]] = {
    "Accuracy": 1,
    "ArgMax": 1,
    "DetectionOutput": 2,
    "DetectionEvaluate": 0,
}
_HIDING: Final = ("Softmax", "Sigmoid", *SCORES_OF)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far a blob of one net is from that of another, over all batches.

    Attributes:
        blob: The blob's name in the first net.
        largest: The largest absolute value in the first net; nan where it is not finite.
        worst: The largest absolute difference; nan where either value is not finite.
    """

    blob: str
    largest: float
    worst: float

    @property
    def relative(self) -> float:
        """The largest difference as a share of the largest value."""
        if self.worst == 0:
            return 0.0
        return self.worst / self.largest if self.largest else math.inf


def compare_nets(
    before: Net, after: Net, batches: Iterable[Feeds], *, pairs: Pairs | None = None, is_double: bool = True
) -> list[Difference]:
    """Returns how far the outputs of two nets are from each other.

    Args:
        before: A net with its weights.
        after: Another; its fed layers make blobs of the same names and shapes, perhaps fewer.
        batches: Tops of the first net's fed layers.
        pairs: What to compare; None: the first net's outputs.
        is_double: Whether both compute in double precision.

    Raises:
        NetError: A net has no such blob, or the other one's has another shape.
    """
    from caffeflow.engine.double_precision import double_precision, in_double
    from caffeflow.engine.training import FusedExecutor

    chosen = list(pairs) if pairs is not None else output_pairs(before, after)
    one = FusedExecutor(before, keep=[blob for blob, _ in chosen])
    other = FusedExecutor(after, keep=[blob for _, blob in chosen])
    found = [(0.0, 0.0)] * len(chosen)
    with double_precision(before, after) if is_double else nullcontext():
        for batch in batches:
            feeds = in_double(batch) if is_double else batch
            ours = one.forward(feeds).outputs
            theirs = other.forward(feeds_for(after, before, feeds)).outputs
            for place, (mine, its) in enumerate(chosen):
                largest, worst = _distance(mine, ours[mine], theirs[its])
                found[place] = (_most(found[place][0], largest), _most(found[place][1], worst))
    return [
        Difference(blob=blob, largest=largest, worst=worst)
        for (blob, _), (largest, worst) in zip(chosen, found, strict=True)
    ]


def require_same(differences: Sequence[Difference], *, what: str, tolerance: float = TOLERANCE) -> Difference:
    """Returns the worst difference.

    Args:
        differences: As `compare_nets` found them.
        what: What was compared, as the subject of a sentence: `the folded net`.
        tolerance: The largest share of the largest value that is taken for rounding.

    Raises:
        CheckError: It is worse than the tolerance, or a value is not finite.
    """
    worst = max(differences, key=lambda each: math.inf if math.isnan(each.relative) else each.relative)
    if math.isnan(worst.relative):
        raise CheckError(
            f"blob '{worst.blob}' has values that are nan or infinite, so nothing can be compared; look"
            " for the layer with: caffeflow weights show"
        )
    if worst.relative > tolerance:
        raise CheckError(
            f"{what} computes something else: blob '{worst.blob}' differs by {worst.relative:.2g} of its"
            f" largest value {worst.largest:.4g}, expected at most {tolerance:g}; nothing was written"
        )
    return worst


def output_pairs(before: Net, after: Net) -> list[tuple[str, str]]:
    """Returns the outputs of a net and what they are called in another, or what jumping outputs read."""
    makers = {value: node for node in before.graph.nodes for value in node.tops}
    there = {node.name: node for node in after.graph.nodes}
    pairs: dict[tuple[str, str], None] = {}
    for output in before.graph.outputs:
        node = makers[output]
        pairs.update(dict.fromkeys(_compared(output.blob, node, there)))
    if not pairs:
        raise NetError(f"net '{before.graph.name}' has no output that could be compared")
    return list(pairs)


def feeds_for(net: Net, source: Net, feeds: Feeds) -> Feeds:
    """Returns one net's feeds as those of another, by blob name.

    Raises:
        NetError: The other net reads a blob that the first one was not given.
    """
    blobs: dict[str, Any] = {}
    for layer in source.fed:
        names = [value.blob for value in layer.facts.node.tops]
        blobs.update(zip(names, feeds[layer.name], strict=True))
    found: dict[str, tuple[Any, ...]] = {}
    for layer in net.fed:
        names = [value.blob for value in layer.facts.node.tops]
        missing = [name for name in names if name not in blobs]
        if missing:
            raise NetError(f"the other net has no input '{missing[0]}'", layer=layer.name)
        found[layer.name] = tuple(blobs[name] for name in names)
    return found


def _compared(blob: str, node: Node, there: Mapping[str, Node]) -> list[tuple[str, str]]:
    type_ = node.layer.type
    itself = [] if type_ in _JUMPING else [(blob, blob)]
    if node.name not in there:
        return itself
    count = _JUMPING.get(type_, 1 if type_ in _HIDING else 0)
    mine, its = (each.bottoms[:count] for each in (node, there[node.name]))
    return itself + [(one.blob, other.blob) for one, other in zip(mine, its, strict=True)]


def _distance(blob: str, ours: Any, theirs: Any) -> tuple[float, float]:
    """Returns the largest absolute value and difference; nan if anything is not finite."""
    if ours.shape != theirs.shape:
        raise NetError(
            f"blob '{blob}' has the shape {tuple(ours.shape)} in one net, {tuple(theirs.shape)} in the other"
        )
    if not ours.numel():
        return 0.0, 0.0
    largest = float(ours.abs().max())
    worst = float((ours.double() - theirs.to(ours.device).double()).abs().max())
    return (largest, worst) if math.isfinite(worst) else (math.nan, math.nan)


def _most(one: float, other: float) -> float:
    return math.nan if math.isnan(one) or math.isnan(other) else max(one, other)
