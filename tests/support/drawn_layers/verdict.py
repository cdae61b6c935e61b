"""What a drawn comparison says: a row of the fidelity page, or the smallest prototxt that fails."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from caffeflow.errors import CaffeflowError
from tests.support.drawn_layers.compare import TOLERANCE, Blobs, Died, Differences, ask, compare, run_alone
from tests.support.drawn_layers.configuration import Configuration
from tests.support.drawn_layers.shrink import smallest
from tests.support.native import NativeCaffe


def row(found: Sequence[Differences]) -> dict[str, str]:
    """Returns the cells of a type: how many configurations, and the worst of each kind of blob."""
    return {
        "configurations": str(len(found)),
        "tops": _worst(each.tops for each in found),
        "bottom diffs": _worst(each.bottom_diffs for each in found),
        "param diffs": _worst(each.param_diffs for each in found),
    }


def _worst(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "—"
    return f"{max(known):.1e}" if max(known) else "0"


def differences(
    caffe: NativeCaffe, configurations: Sequence[Configuration], answers: Sequence[Blobs | Died], folder: Path
) -> list[Differences]:
    """Returns how far each is from Caffe's answer.

    Raises:
        AssertionError: Caffe died of one, or one is too far; names the smallest prototxt that shows it.
    """
    found = []
    for configuration, answer in zip(configurations, answers, strict=True):
        assert not isinstance(answer, Died), f"Caffe died of\n{configuration.text()}\n{answer.words}"
        found.append(compare(configuration, answer))
        if found[-1].worst > TOLERANCE:
            raise AssertionError(smallest_failure(caffe, configuration, folder))
    return found


def smallest_failure(caffe: NativeCaffe, configuration: Configuration, folder: Path) -> str:
    """Returns the smallest prototxt that fails as a configuration does, and by how much."""

    def fails(candidates: Sequence[Configuration]) -> list[float | None]:
        runnable = [place for place, each in enumerate(candidates) if _runs_here(each)]
        figures: list[float | None] = [None] * len(candidates)
        answers = ask(caffe, [candidates[place] for place in runnable], folder / "smaller")
        for place, answer in zip(runnable, answers, strict=True):
            worst = 0.0 if isinstance(answer, Died) else compare(candidates[place], answer).worst
            figures[place] = worst if worst > TOLERANCE else None
        return figures

    found, figure = smallest(configuration, fails)
    by = "too much once, and not when asked again" if figure is None else f"{figure:.1e} of its scale"
    return (
        f"a drawn {found.layer.type} differs by {by}; phase {found.phase}, values of seed {found.seed};"
        f" the smallest net that shows it:\n{found.text()}"
    )


def _runs_here(configuration: Configuration) -> bool:
    try:
        run_alone(configuration)
    except (CaffeflowError, AssertionError, IndexError, RuntimeError, ValueError):
        return False  # a step that means nothing, such as a label of a class that was taken away
    return True
