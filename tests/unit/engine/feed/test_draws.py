"""Random numbers by place: SplitMix64, one stream a layer and seed."""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from caffeflow.engine.feed.draws import Draws
from tests.support.oracles.transformer import splitmix64


def test_numbers_are_splitmix64_entered_anywhere() -> None:
    records = np.array([0, 1, 2, 1_281_167, 2**40], np.int64)
    whole = 2**64
    base = int.from_bytes(blake2b(b"5\0conv1/data", digest_size=8).digest(), "little")
    inverse_gamma = pow(0x9E3779B97F4A7C15, -1, whole)
    for draw in range(4):
        counters = [(base * inverse_gamma + 4 * int(record) + draw + 1) % whole for record in records]
        expected = [splitmix64(counter) % 1_000_003 for counter in counters]
        assert Draws(5, "conv1/data").below(1_000_003, records, draw=draw).tolist() == expected


def test_layers_seeds_and_draws_have_numbers_of_their_own() -> None:
    records = np.arange(50)
    streams = [
        Draws(seed, layer).below(2**40, records, draw=draw).tobytes()
        for seed, layer, draw in ((0, "a", 0), (1, "a", 0), (-1, "a", 0), (0, "b", 0), (0, "a", 1))
    ]
    assert len(set(streams)) == 5


def test_generators_differ_by_number_and_repeat() -> None:
    draws = Draws(3, "data")
    first, second, again = (draws.generator(number).permutation(31).tolist() for number in (0, 1, 0))
    assert first == again
    assert first != second
    assert sorted(second) == list(range(31))
