"""What fails is shrunk to the fields, bottoms and sizes that it takes, within a bound of rounds."""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.drawn_layers.configuration import Bottom, Configuration
from tests.support.drawn_layers.draw import Draw
from tests.support.drawn_layers.families import FAMILIES
from tests.support.drawn_layers.shrink import size, smaller, smallest
from tests.support.drawn_layers.sums import convolution


def grouped() -> Configuration:
    """A drawn Convolution with groups, dilation and several other fields."""
    for number in range(200):
        made = convolution(Draw(f"shrunk-{number}"))
        made.layer.type = "Convolution"
        param = made.layer.convolution_param
        if param.group == 3 and len(param.dilation) > 1 and param.axis != 1 and len(made.bottoms) == 2:
            return made
    raise AssertionError("no such configuration is drawn")


def test_only_what_it_takes_stays() -> None:
    def fails(candidates: Sequence[Configuration]) -> list[float | None]:
        params = [each.layer.convolution_param for each in candidates]
        return [0.25 if param.group == 3 and param.dilation else None for param in params]

    found, figure = smallest(grouped(), fails, rounds=60)
    assert figure == 0.25
    assert [field.name for field, _ in found.layer.ListFields()] == ["type", "convolution_param"]
    fields = [field.name for field, _ in found.layer.convolution_param.ListFields()]
    assert fields == ["group", "dilation"]
    assert len(found.layer.convolution_param.dilation) == 1
    assert len(found.bottoms) == 1
    assert set(found.bottoms[0].shape) == {1}


def test_sizes_that_it_takes_stay() -> None:
    def fails(candidates: Sequence[Configuration]) -> list[float | None]:
        return [1.0 if any(6 in bottom.shape for bottom in each.bottoms) else None for each in candidates]

    made = Configuration(
        layer=FAMILIES["Concat"](Draw("any")).layer,
        bottoms=tuple(Bottom(shape=shape) for shape in ((2, 6, 5), (2, 3, 5), (2, 1, 5))),
    )
    found, _ = smallest(made, fails, rounds=60)
    assert [bottom.shape for bottom in found.bottoms] == [(1, 6, 1)]


def test_rounds_are_bounded_and_what_agrees_is_left_alone() -> None:
    asked: list[int] = []

    def fails(candidates: Sequence[Configuration]) -> list[float | None]:
        asked.append(len(candidates))
        return [1.0] * len(candidates)

    made = grouped()
    found, _ = smallest(made, fails, rounds=2)
    assert len(asked) == 3
    assert asked[0] == 1
    assert size(found) < size(made)
    agreeing, figure = smallest(made, lambda candidates: [None] * len(candidates))
    assert agreeing is made
    assert figure is None


def test_every_type_has_smaller_configurations() -> None:
    for layer_type, family in FAMILIES.items():
        drawn = [family(Draw(f"{layer_type}-{number}")) for number in range(5)]
        assert any(list(smaller(each)) for each in drawn), layer_type
