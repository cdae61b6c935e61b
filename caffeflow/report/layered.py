"""Places boxes on ranks, sources above, and routes arrows around boxes.

The way of Sugiyama: a rank a box (the longest path from a source), an invisible box wherever an arrow
passes a rank, an order within each rank that avoids crossings (barycentres), then positions as near as
possible to the neighbours' without overlap. Geometry only: nothing here knows of nets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Final

_SWEEPS: Final = 12
_GAP: Final = 24.0  # between boxes of a rank
_PASS_WIDTH: Final = 8.0  # room for an arrow that passes a rank
_BOX_PULL: Final = 200.0  # how much more a box stays with its neighbours than an arrow that passes by


@dataclass(frozen=True, kw_only=True)
class Placed:
    """Where everything is: centres, in the order of the boxes given, and the ways of the arrows."""

    ranks: tuple[int, ...]
    centres: tuple[float, ...]
    ways: Mapping[tuple[int, int], tuple[float, ...]]  # (from, to) -> x on each rank, both ends included
    width: float


def rank_boxes(sources: Sequence[Sequence[int]]) -> list[int]:
    """Returns the rank of each box: one below the lowest of those that it reads.

    A box that reads nothing stands just above its first reader.
    """
    ranks: list[int] = []
    for reads in sources:
        ranks.append(1 + max((ranks[source] for source in reads), default=-1))
    readers: dict[int, list[int]] = {}
    for box, reads in enumerate(sources):
        for source in reads:
            readers.setdefault(source, []).append(box)
    for box, reads in enumerate(sources):
        if not reads and box in readers:
            ranks[box] = min(ranks[reader] for reader in readers[box]) - 1
    return ranks


def place_boxes(sources: Sequence[Sequence[int]], ranks: Sequence[int], widths: Sequence[float]) -> Placed:
    """Returns positions for boxes of given ranks and widths.

    Args:
        sources: For each box the boxes that it reads.
        ranks: The rank of each box; every source's is smaller.
        widths: The width of each box.
    """
    plan = _Plan(sources, ranks, widths)
    for sweep in range(_SWEEPS):
        plan.order(downwards=sweep % 2 == 0)
    for sweep in range(2 * _SWEEPS):
        plan.move(downwards=sweep % 2 == 0)
    plan.straighten()
    return plan.placed()


class _Plan:
    """The boxes and the passing places of one layout; `boxes` come first, passing places after."""

    def __init__(
        self, sources: Sequence[Sequence[int]], ranks: Sequence[int], widths: Sequence[float]
    ) -> None:
        self._ranks = list(ranks)
        self._widths = list(widths)
        self._boxes = len(ranks)
        self._above: list[list[int]] = [[] for _ in ranks]
        self._below: list[list[int]] = [[] for _ in ranks]
        self._chains: dict[tuple[int, int], list[int]] = {}
        for box, reads in enumerate(sources):
            for source in reads:
                self._connect(source, box)
        self._rows: list[list[int]] = [[] for _ in range(max(self._ranks, default=-1) + 1)]
        for vertex, rank in enumerate(self._ranks):
            self._rows[rank].append(vertex)
        self._x = [0.0] * len(self._ranks)
        for row in self._rows:
            self._pack(row)

    def _connect(self, source: int, box: int) -> None:
        chain = [source]
        for rank in range(self._ranks[source] + 1, self._ranks[box]):
            chain.append(len(self._ranks))
            self._ranks.append(rank)
            self._widths.append(_PASS_WIDTH)
            self._above.append([])
            self._below.append([])
        chain.append(box)
        for upper, lower in pairwise(chain):
            self._below[upper].append(lower)
            self._above[lower].append(upper)
        self._chains[source, box] = chain

    def _pack(self, row: Sequence[int]) -> None:
        """Sets a row side by side around 0."""
        x = 0.0
        for left, right in zip([None, *row], row, strict=False):
            x += self._apart(left, right) if left is not None else 0.0
            self._x[right] = x
        middle = (self._x[row[0]] + self._x[row[-1]]) / 2 if row else 0.0
        for vertex in row:
            self._x[vertex] -= middle

    def _apart(self, left: int, right: int) -> float:
        return (self._widths[left] + self._widths[right]) / 2 + _GAP

    def _neighbours(self, *, downwards: bool) -> Callable[[int], list[int]]:
        side = self._above if downwards else self._below
        return lambda vertex: side[vertex]

    def order(self, *, downwards: bool) -> None:
        """Sorts each row by where its neighbours in the row before stand."""
        neighbours = self._neighbours(downwards=downwards)
        for row in self._rows if downwards else self._rows[::-1]:
            means = {
                vertex: fmean(self._x[near] for near in neighbours(vertex))
                if neighbours(vertex)
                else self._x[vertex]
                for vertex in row
            }
            row.sort(key=means.__getitem__)
            self._pack(row)

    def move(self, *, downwards: bool) -> None:
        """Moves each row's vertices towards their neighbours, keeping order and distances.

        A box that has its row to itself stays in the middle: so all parts of a long net have one axis.
        """
        for row in self._rows if downwards else self._rows[::-1]:
            if len(row) == 1:
                self._x[row[0]] = 0.0
                continue
            wanted, weights = [], []
            for vertex in row:
                near = [*self._above[vertex], *self._below[vertex]]
                wanted.append(fmean(self._x[other] for other in near) if near else self._x[vertex])
                weights.append(1.0 if self._passes(vertex) else _BOX_PULL)
            distances = [self._apart(left, right) for left, right in pairwise(row)]
            for vertex, x in zip(row, nearest_apart(wanted, distances, weights), strict=True):
                self._x[vertex] = x

    def straighten(self) -> None:
        """Moves the passing points of an arrow onto one line, outwards, where there is room."""
        for chain in self._chains.values():
            points = chain[1:-1]
            if len(points) < 2:
                continue
            for x in (max(self._x[v] for v in points), min(self._x[v] for v in points)):
                if all(self._is_free(vertex, x) for vertex in points):
                    for vertex in points:
                        self._x[vertex] = x
                    break

    def _is_free(self, vertex: int, x: float) -> bool:
        row = self._rows[self._ranks[vertex]]
        place = row.index(vertex)
        left = place == 0 or x - self._x[row[place - 1]] >= self._apart(row[place - 1], vertex) - 1e-6
        last = place == len(row) - 1
        return left and (last or self._x[row[place + 1]] - x >= self._apart(vertex, row[place + 1]) - 1e-6)

    def _passes(self, vertex: int) -> bool:
        return vertex >= self._boxes

    def placed(self) -> Placed:
        """Returns the positions, moved so that the leftmost edge is 0."""
        left = min((x - w / 2 for x, w in zip(self._x, self._widths, strict=True)), default=0.0)
        right = max((x + w / 2 for x, w in zip(self._x, self._widths, strict=True)), default=0.0)
        return Placed(
            ranks=tuple(self._ranks[: self._boxes]),
            centres=tuple(x - left for x in self._x[: self._boxes]),
            ways={ends: tuple(self._x[v] - left for v in chain) for ends, chain in self._chains.items()},
            width=right - left,
        )


def nearest_apart(
    wanted: Sequence[float], distances: Sequence[float], weights: Sequence[float]
) -> list[float]:
    """Returns the places nearest to those wanted (weighted squares) that keep the distances.

    Neighbours that are too near are pooled and moved as one block, as in isotonic regression.
    """
    offsets = [0.0]
    for distance in distances:
        offsets.append(offsets[-1] + distance)
    blocks: list[tuple[float, float, int]] = []  # mean of (wanted - offset), weight, members
    for want, offset, weight in zip(wanted, offsets, weights, strict=False):
        mean, total, members = want - offset, weight, 1
        while blocks and blocks[-1][0] > mean:
            before, before_total, before_members = blocks.pop()
            mean = (mean * total + before * before_total) / (total + before_total)
            total, members = total + before_total, members + before_members
        blocks.append((mean, total, members))
    levels = [mean for mean, _, members in blocks for _ in range(members)]
    return [level + offset for level, offset in zip(levels, offsets, strict=False)]
