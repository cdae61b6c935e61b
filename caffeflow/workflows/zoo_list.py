"""`caffeflow weights list`: the models of the zoo, and which of them are on this machine.

No file is read to its end for a list: a large one that nobody has asked for yet is only said to be there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from caffeflow.weights.zoo import ZooModel, zoo_models
from caffeflow.workflows.zoo_files import candidates, find_known_problem


@dataclass(frozen=True, kw_only=True)
class Listed:
    """A model of the zoo, and its file here.

    Attributes:
        path: The file; None if there is none of its name.
        state: `checked`, `not checked yet`, or what is wrong with it; empty without a file.
    """

    model: ZooModel
    path: Path | None
    state: str


def list_models() -> list[Listed]:
    """Returns all models in the order of the table."""
    return [_listed(model) for model in zoo_models()]


def _listed(model: ZooModel) -> Listed:
    found = [(path, find_known_problem(path, model)) for path in candidates(model)]
    # The best of them: one that is known to be right, else one that may be, else a wrong one.
    for path, problem in sorted(found, key=lambda each: {"": 0, None: 1}.get(each[1], 2)):
        state = "not checked yet" if problem is None else problem or "checked"
        return Listed(model=model, path=path, state=state)
    return Listed(model=model, path=None, state="")
