from __future__ import annotations

import random
from itertools import pairwise

import pytest

from caffeflow.report.layered import nearest_apart, place_boxes, rank_boxes

RESIDUAL = [[], [0], [1], [0, 2], [3], [4], [3, 5]]  # two blocks with a short cut each


def test_a_box_stands_below_all_that_it_reads() -> None:
    assert rank_boxes(RESIDUAL) == [0, 1, 2, 3, 4, 5, 6]
    assert rank_boxes([[], [0], [0], [1, 2]]) == [0, 1, 1, 2]


def test_a_source_stands_just_above_its_first_reader() -> None:
    assert rank_boxes([[], [0], [1], [], [2, 3]]) == [0, 1, 2, 2, 3]


def test_no_boxes_need_no_ranks() -> None:
    assert rank_boxes([]) == []
    assert place_boxes([], [], []).width == 0


def overlaps(sources: list[list[int]], widths: list[float]) -> list[str]:
    """Returns every place where two boxes, or an arrow and a box, share a rank too closely."""
    ranks = rank_boxes(sources)
    placed = place_boxes(sources, ranks, widths)
    found = []
    for rank in set(ranks):
        row = [(placed.centres[b], widths[b], f"box {b}") for b, r in enumerate(ranks) if r == rank]
        for (source, reader), xs in placed.ways.items():
            if ranks[source] < rank < ranks[reader]:
                row.append((xs[rank - ranks[source]], 0.0, f"arrow {source}-{reader}"))
        for (x, w, name), (next_x, next_w, next_name) in pairwise(sorted(row)):
            if next_x - x < (w + next_w) / 2 and not (w == next_w == 0):
                found.append(f"{name} and {next_name} on rank {rank}")
    return found


def test_arrows_go_around_boxes() -> None:
    assert overlaps(RESIDUAL, [100.0, 80, 120, 60, 100, 90, 60]) == []


@pytest.mark.parametrize("seed", range(20))
def test_nothing_overlaps_in_a_random_net(seed: int) -> None:
    rng = random.Random(seed)
    sources = [
        sorted({rng.randrange(box) for _ in range(rng.choice([1, 1, 1, 2, 3]))}) if box else []
        for box in range(40)
    ]
    assert overlaps(sources, [rng.uniform(40, 200) for _ in sources]) == []


def test_all_joins_of_a_long_net_stand_on_one_axis() -> None:
    sources: list[list[int]] = [[]]
    for _ in range(10):
        start = len(sources) - 1
        sources += [[start], [start + 1], [start, start + 2]]
    placed = place_boxes(sources, rank_boxes(sources), [100.0] * len(sources))
    assert len({round(placed.centres[join], 3) for join in range(0, len(sources), 3)}) == 1


def test_a_passing_arrow_is_straight() -> None:
    sources = [[], [0], [1], [2], [0, 3]]
    placed = place_boxes(sources, rank_boxes(sources), [60.0, 100, 180, 140, 60])
    inner = placed.ways[0, 4][1:-1]
    assert len(inner) == 3
    assert max(inner) - min(inner) < 1e-6


def test_branches_stand_in_an_order_without_crossings() -> None:
    sources = [[], [0], [0], [0], [3], [2], [1], [4, 5, 6]]
    placed = place_boxes(sources, rank_boxes(sources), [50.0] * 8)
    upper = sorted((1, 2, 3), key=lambda box: placed.centres[box])
    lower = sorted((4, 5, 6), key=lambda box: placed.centres[box])
    reads = {4: 3, 5: 2, 6: 1}
    assert [reads[box] for box in lower] == upper


def brute_force(wanted: list[float], distances: list[float], weights: list[float]) -> float:
    """Returns the least weighted square sum on a grid of half steps."""
    best = float("inf")
    grid = [step / 2 for step in range(-12, 13)]
    for a in grid:
        for b in grid:
            for c in grid:
                if b - a >= distances[0] and c - b >= distances[1]:
                    cost = sum(w * (x - t) ** 2 for w, x, t in zip(weights, (a, b, c), wanted, strict=True))
                    best = min(best, cost)
    return best


@pytest.mark.parametrize("seed", range(10))
def test_places_are_the_nearest_ones_that_keep_apart(seed: int) -> None:
    rng = random.Random(seed)
    wanted = [rng.randrange(-4, 5) / 2 for _ in range(3)]
    distances = [float(rng.choice([1, 2])) for _ in range(2)]
    weights = [float(rng.choice([1, 3])) for _ in range(3)]
    places = nearest_apart(wanted, distances, weights)
    assert all(right - left >= d - 1e-9 for (left, right), d in zip(pairwise(places), distances, strict=True))
    cost = sum(w * (x - t) ** 2 for w, x, t in zip(weights, places, wanted, strict=True))
    assert cost <= brute_force(wanted, distances, weights) + 1e-9
