"""torchvision's RegNetX nets, of any size: depths, widths and groups are read off the file.

The widths are not always the paper's: where a stage's is no multiple of the group's, torchvision rounds
half up and the authors round to even, so that the last stage of its 400MF has 400 channels, not 384.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from caffeflow.weights.importing.counterpart import Counterpart, Family, Part, Shapes, rows_of

_NETS: Final[Mapping[tuple[int, ...], tuple[str, str]]] = {
    (1, 2, 7, 12): ("regnetx-400mf", "regnet_x_400mf"),
    (1, 3, 7, 5): ("regnetx-800mf", "regnet_x_800mf"),
    (2, 4, 10, 2): ("regnetx-1.6gf", "regnet_x_1_6gf"),
    (2, 6, 15, 2): ("regnetx-3.2gf", "regnet_x_3_2gf"),
}
_STAGES: Final = (1, 2, 3, 4)
_BLOCK: Final = re.compile(r"trunk_output\.block(\d)\.block\d-(\d+)\.f\.a\.0\.weight")


def _plan(shapes: Shapes) -> Counterpart:
    depths = _depths(shapes)
    net, torch_name = _NETS.get(depths, ("regnetx-3.2gf", "a RegNetX"))
    squeezes = any(".f.se." in key for key in shapes)
    return Counterpart(
        torch_name="a RegNetY" if squeezes else torch_name,
        net=net,
        parts=tuple(_parts(depths)),
        trunk=("stem.", "trunk_output."),
        variables=_variables(shapes, depths),
        required={"net.activation": ("relu",)},
        classes_key="fc.weight",
        refused="it has squeeze-and-excitation, and render has RegNetX nets alone" if squeezes else "",
    )


def _depths(shapes: Shapes) -> tuple[int, ...]:
    """Returns how many blocks each stage has; the smallest net's where there are none."""
    found = [match for key in shapes if (match := _BLOCK.fullmatch(key))]
    depths = tuple(sum(int(match[1]) == stage for match in found) for stage in _STAGES)
    return depths if all(depths) else next(iter(_NETS))


def _variables(shapes: Shapes, depths: Sequence[int]) -> dict[str, str]:
    widths = [rows_of(shapes, f"trunk_output.block{stage}.block{stage}-0.f.c.0.weight") for stage in _STAGES]
    grouped = shapes.get("trunk_output.block1.block1-0.f.b.0.weight", ())
    if not all(widths) or len(grouped) != 4:
        return {}
    return {
        "net.depths": ",".join(map(str, depths)),
        "net.widths": ",".join(map(str, widths)),
        "net.group_width": str(grouped[1]),
    }


def _parts(depths: Sequence[int]) -> Iterator[Part]:
    yield Part("stem", "stem.0", "stem.1")
    for stage, depth in enumerate(depths, start=1):
        for index in range(depth):
            here, there = f"s{stage}/b{index + 1}", f"trunk_output.block{stage}.block{stage}-{index}"
            if index == 0:
                yield Part(f"{here}/proj", f"{there}.proj.0", f"{there}.proj.1")
            for letter in "abc":
                yield Part(f"{here}/{letter}", f"{there}.f.{letter}.0", f"{there}.f.{letter}.1")
    yield Part("fc", "fc", is_head=True, has_bias=True)


FAMILY: Final = Family(
    nets=tuple(net for net, _ in _NETS.values()),
    torch_names=tuple(name for _, name in _NETS.values()),
    plan=_plan,
)
