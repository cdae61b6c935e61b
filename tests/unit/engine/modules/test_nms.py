"""Lists of boxes thinned out at once, against one box after the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from caffeflow.engine.modules.nms import rank_by_score, suppress
from caffeflow.layers.detection_output import Suppression
from tests.support.oracles.detection_output import suppress as by_loops


def lists_of_boxes(seed: int, *, lists: int, longest: int, spread: float):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, longest + 1, lists)
    lengths[seed % lists] = longest
    groups = np.repeat(np.arange(lists) * 3 + 1, lengths)
    corners = rng.uniform(0, spread, (len(groups), 2))
    sides = rng.uniform(0.25, 0.4, (len(groups), 2)) * np.where(rng.random((len(groups), 1)) < 0.05, -1, 1)
    boxes = np.concatenate((corners, corners + sides), 1)
    scores = rng.permutation(len(groups)) / len(groups)
    return boxes.astype(np.float32), scores.astype(np.float32), groups


@pytest.mark.parametrize(
    "rule", [(0.45, 1.0), (0.0, 1.0), (1.0, 1.0), (0.9, 0.7), (0.3, 0.5), (0.7, 0.95)], ids=str
)
@pytest.mark.parametrize("seed", range(4))
def test_what_stays_is_what_stays_box_after_box(seed, rule):
    threshold, eta = rule
    boxes, scores, groups = lists_of_boxes(seed, lists=7, longest=23, spread=0.2)
    ranked = rank_by_score(torch.from_numpy(scores), torch.from_numpy(groups))
    stays = suppress(
        torch.from_numpy(boxes)[ranked.source], ranked, Suppression(threshold=threshold, top_k=-1, eta=eta)
    )
    found = {}
    for group, source in zip(ranked.group[stays].tolist(), ranked.source[stays].tolist(), strict=True):
        found.setdefault(group, []).append(source)
    for group in np.unique(groups):
        (places,) = np.nonzero(groups == group)
        kept = by_loops(
            boxes[places].astype(np.float64), scores[places], threshold=-1, nms=threshold, top_k=-1, eta=eta
        )
        assert found[int(group)] == [places[k] for k in kept]
    if threshold == 0.45:
        assert 0.2 < float(stays.float().mean()) < 0.9, "lists in which all or none stay show nothing"


def test_equal_scores_keep_their_order_and_ranks_count_within_a_list():
    scores = torch.tensor([0.5, 0.9, 0.5, 0.5, 0.9])
    ranked = rank_by_score(scores, torch.tensor([4, 2, 4, 2, 2]))
    assert ranked.source.tolist() == [1, 4, 3, 0, 2]
    assert ranked.group.tolist() == [2, 2, 2, 4, 4]
    assert ranked.rank.tolist() == [0, 1, 2, 0, 1]


def test_the_same_box_twice_overlaps_by_1_which_is_not_more_than_1():
    boxes = torch.tensor([[0.1, 0.2, 0.33, 0.47]]).repeat(3, 1)
    ranked = rank_by_score(torch.tensor([0.3, 0.2, 0.1]), torch.zeros(3, dtype=torch.long))
    assert suppress(boxes, ranked, Suppression(threshold=1.0, top_k=-1, eta=1.0)).tolist() == [True] * 3
    assert suppress(boxes, ranked, Suppression(threshold=0.99, top_k=-1, eta=1.0)).tolist() == [
        True,
        False,
        False,
    ]


def test_boxes_without_area_and_without_numbers_overlap_nothing():
    nan = float("nan")
    boxes = torch.tensor(
        [[0, 0, 1, 1], [0.5, 0.5, 0.5, 0.5], [0.8, 0.8, 0.2, 0.2], [nan] * 4, [0, 0, 1, 0.9]]
    )
    ranked = rank_by_score(torch.linspace(1, 0.5, 5), torch.zeros(5, dtype=torch.long))
    assert suppress(boxes, ranked, Suppression(threshold=0.0, top_k=-1, eta=1.0)).tolist() == [True] * 4 + [
        False
    ]


def test_no_boxes_at_all():
    none = torch.zeros(0)
    ranked = rank_by_score(none, none.long())
    assert suppress(torch.zeros(0, 4), ranked, Suppression(threshold=0.5, top_k=-1, eta=1.0)).tolist() == []
