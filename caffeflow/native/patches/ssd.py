"""The SSD layers at run time."""

from __future__ import annotations

import re
from typing import Final

from caffeflow.native.patches.patch import FileEdit, Patch, PlaceNotFoundError
from caffeflow.native.tree import Tree

_SAMPLER: Final = "src/caffe/util/sampler.cpp"
_SIDES: Final = ("bbox_width", "bbox_height")


def _draws(side: str, text: str) -> bool:
    return re.search(rf"caffe_rng_uniform\([^;]*-\s*{side}\b", text) is not None


def _is_guarded(side: str, text: str) -> bool:
    """Tells whether a side is bounded, or the draw made only where there is room for it."""
    return re.search(rf"\b(?:min|max)(?:<\w+>)?\([^;]*\b{side}\b|\bif\s*\([^)]*\b{side}\b", text) is not None


def _lets_boxes_grow(text: str) -> bool:
    return any(_draws(side, text) and not _is_guarded(side, text) for side in _SIDES)


def _bound_sides(text: str) -> str:
    for side in _SIDES:
        if not _draws(side, text) or _is_guarded(side, text):
            continue
        declared = re.search(rf"^([ \t]*)float {side}\s*=[^;]*;\n", text, re.MULTILINE)
        if declared is None:
            raise PlaceNotFoundError(f"the declaration of {side}")
        bound = f"{declared[1]}{side} = std::min({side}, 1.f);  // it may round to one ulp above 1\n"
        text = text[: declared.end()] + bound + text[declared.end() :]
    return text


def _has_sampler(tree: Tree) -> bool:
    return tree.has(_SAMPLER)


SSD_PATCHES: Final[tuple[Patch, ...]] = (
    Patch(
        id="ssd-sampled-box",
        group="ssd",
        reason=(
            "A sampled box's side that rounding makes longer than the image ends training with"
            " 'Check failed: a <= b (0 vs. -1.19209e-07)'; the side is bounded and the check kept."
        ),
        edits=(FileEdit(path=_SAMPLER, needs=_lets_boxes_grow, edit=_bound_sides),),
        applies=_has_sampler,
    ),
)
