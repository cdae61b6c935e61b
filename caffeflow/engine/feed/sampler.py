"""Batch samplers: random crops that see enough of some object, as SSD's `GenerateBatchSamples` does.

All samplers of a layer are tried on a picture, the boxes that satisfy their constraints are pooled, and one
of the pool is the crop. Every trial of every sampler is drawn and judged at once.

Only the first kind of constraint that a sampler gives counts, of jaccard overlap, sample coverage and
object coverage: SSD goes on to the next kind with an object that has passed one, but what it remembers,
`found`, stays true whatever comes then (sampler.cpp).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from caffeflow.engine.feed.boxes import Boxes, Flags, areas, coverages, overlaps, shared_areas
from caffeflow.engine.feed.draws import Draw, RecordDraws
from caffeflow.engine.feed.ground_truth import GroundTruth
from caffeflow.errors import NetError
from caffeflow.proto.caffe_pb2 import BatchSampler, LayerParameter, SampleConstraint

Kind = Literal["jaccard_overlap", "sample_coverage", "object_coverage"]

_KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_LARGEST_ASPECT: Final = float(np.finfo(np.float32).max)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Constraint:
    """What a sampled box must see of some object: between `least` and `most`, both included."""

    kind: Kind
    least: float
    most: float


@dataclass(frozen=True, kw_only=True)
class SamplerSettings:
    """One batch sampler.

    Attributes:
        scale: Smallest and largest.
        aspect: Smallest and largest, width to height.
        constraint: None: every box will do.
        samples: How many it adds to the pool at most.
        trials: How often it is tried.
    """

    scale: tuple[float, float]
    aspect: tuple[float, float]
    constraint: Constraint | None
    samples: int
    trials: int


def read_samplers(layer: LayerParameter) -> tuple[SamplerSettings, ...]:
    """Reads the batch samplers of `annotated_data_param`; what has no effect is named in a warning.

    Raises:
        NetError: A range that SSD refuses, or one that is none.
    """
    found = []
    for number, param in enumerate(layer.annotated_data_param.batch_sampler, 1):
        where = f"batch_sampler {number}"
        if not param.use_original_image:
            _log.warning(
                "layer '%s': %s has no effect without use_original_image, as in Caffe", layer.name, where
            )
            continue
        try:
            found.append(_read(param, layer.name, where))
        except NetError as error:
            raise NetError(f"{where}: {error}", layer=layer.name) from error
    return tuple(found)


def _read(param: BatchSampler, layer: str, where: str) -> SamplerSettings:
    sampler = param.sampler
    scale = (sampler.min_scale, sampler.max_scale)
    aspect = (sampler.min_aspect_ratio, sampler.max_aspect_ratio)
    if not 0 < scale[0] <= scale[1] <= 1:
        raise NetError(f"scales from {scale[0]:g} to {scale[1]:g}; they must be above 0 and at most 1")
    if not 0 < aspect[0] <= aspect[1] < _LARGEST_ASPECT:
        raise NetError(f"aspect ratios from {aspect[0]:g} to {aspect[1]:g}; they must be above 0, in order")
    given = [kind for kind in _KINDS if _has(param.sample_constraint, kind)]
    for kind in given[1:]:
        _log.warning("layer '%s': %s: %s has no effect beside %s, as in Caffe", layer, where, kind, given[0])
    return SamplerSettings(
        scale=scale,
        aspect=aspect,
        constraint=_constraint(param.sample_constraint, given[0]) if given else None,
        samples=min(param.max_sample, param.max_trials) if param.HasField("max_sample") else param.max_trials,
        trials=param.max_trials,
    )


def _has(param: SampleConstraint, kind: Kind) -> bool:
    return param.HasField(f"min_{kind}") or param.HasField(f"max_{kind}")


def _constraint(param: SampleConstraint, kind: Kind) -> Constraint:
    least = getattr(param, f"min_{kind}") if param.HasField(f"min_{kind}") else -np.inf
    most = getattr(param, f"max_{kind}") if param.HasField(f"max_{kind}") else np.inf
    return Constraint(kind=kind, least=least, most=most)


@dataclass(frozen=True)
class _OfKind:
    """The trials held to one kind of constraint: their numbers, and between what (T, 1) they must be."""

    kind: Kind
    trials: NDArray[np.intp]
    least: NDArray[np.float32]
    most: NDArray[np.float32]


class Samplers:
    """The batch samplers of a layer.

    Args:
        settings: At least one.
    """

    def __init__(self, settings: Sequence[SamplerSettings]) -> None:
        trials = [one.trials for one in settings]

        def of_trial(values: Sequence[float]) -> NDArray[np.float32]:
            return np.repeat(np.array(values, np.float32), trials)

        self._low = np.stack(
            [of_trial([one.scale[0] for one in settings]), of_trial([one.aspect[0] for one in settings])]
        )
        high = np.stack(
            [of_trial([one.scale[1] for one in settings]), of_trial([one.aspect[1] for one in settings])]
        )
        self._range = high - self._low
        constraints = [one.constraint or Constraint(kind=_KINDS[0], least=0, most=0) for one in settings]
        least = of_trial([one.least for one in constraints])[:, None]
        most = of_trial([one.most for one in constraints])[:, None]
        kinds = np.repeat(np.array([_KINDS.index(one.kind) for one in constraints]), trials)
        self._is_free: Flags = np.repeat(np.array([one.constraint is None for one in settings]), trials)
        self._of_kind: list[_OfKind] = []
        for number, kind in enumerate(_KINDS):
            members = np.flatnonzero((kinds == number) & ~self._is_free)
            if len(members):
                self._of_kind.append(_OfKind(kind, members, least[members], most[members]))
        self._begins = np.repeat(np.cumsum([0, *trials[:-1]]), trials)
        self._samples = np.repeat(np.array([one.samples for one in settings]), trials)

    def find_crop(self, truth: GroundTruth, draws: RecordDraws) -> Boxes | None:
        """Returns the crop (4,) for a picture with these objects; None if no box satisfied any sampler."""
        boxes = sampled_boxes(draws.units(4, len(self._samples)), self._low, self._range)
        pool = np.flatnonzero(self._kept(self._satisfied(boxes, truth)))
        if not len(pool):
            return None
        crop: Boxes = boxes[pool[draws.below(Draw.SAMPLE, len(pool))]]
        return crop

    def _satisfied(self, boxes: Boxes, truth: GroundTruth) -> Flags:
        """Returns whether each trial's box satisfies its sampler."""
        satisfied = self._is_free.copy()
        if not len(truth.rows):
            return satisfied
        objects = truth.areas
        for one in self._of_kind:
            own = boxes[one.trials]
            shared = shared_areas(own[:, None], truth.boxes)
            if one.kind == "jaccard_overlap":
                values = overlaps(shared, areas(own)[:, None], objects)
            else:
                values = coverages(shared, areas(own)[:, None] if one.kind == "sample_coverage" else objects)
            satisfied[one.trials] = ((values >= one.least) & (values <= one.most)).any(axis=1)
        return satisfied

    def _kept(self, satisfied: Flags) -> Flags:
        """Returns which boxes enter the pool: of each sampler the first ones, as many as it may add."""
        before = np.concatenate([[0], np.cumsum(satisfied)])
        kept: Flags = satisfied & (before[:-1] - before[self._begins] < self._samples)
        return kept


def sampled_boxes(units: NDArray[np.float32], low: NDArray[np.float32], ranges: NDArray[np.float32]) -> Boxes:
    """Returns boxes (T, 4) from numbers in [0, 1).

    Args:
        units: (4, T): for scale, aspect, x and y.
        low: (2, T): the smallest scale and aspect.
        ranges: (2, T): how much larger they may be.
    """
    scale, aspect = low + ranges * units[:2]
    square = scale * scale
    root = np.sqrt(np.minimum(np.maximum(aspect, square), 1 / square))
    # The aspect is held such that no side is above 1; rounding may leave 1.0000001, which makes Caffe end
    # with "Check failed: a <= b" when it draws the offset.
    sides = np.minimum(np.stack([scale * root, scale / root]), np.float32(1))
    corner = (1 - sides) * units[2:]
    return np.ascontiguousarray(np.concatenate([corner, corner + sides]).T)
