"""What kinds of nets there are, and which files each of them has.

A classifier trains and tests with one file; a detection net has a file for each, because both need other
data and other ends, and two solvers: the real Caffe measures detections by "training" for no iteration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from caffeflow.errors import TemplateError
from caffeflow.proto.net import Phase


@dataclass(frozen=True, kw_only=True)
class Task:
    """A kind of net.

    Attributes:
        name: What `.toml` files call it.
        variables: The files in the templates folder that declare its variables: `net` and `data` of the last
            one, and `solver` of all.
        stages: Stage to the phases that its prototxt has.
        solvers: Name of a solver's prototxt to its template.
        scripts: Name of a script to its template.
        train_stage: The stage that trains.
    """

    name: str
    variables: tuple[str, ...]
    stages: Mapping[str, tuple[Phase, ...]]
    solvers: Mapping[str, str]
    scripts: Mapping[str, str]
    train_stage: str

    @property
    def train_solver(self) -> str:
        """The name of the solver's prototxt that trains."""
        return next(iter(self.solvers))

    def net_file(self, phase: Phase) -> str:
        """Returns the prototxt in which one looks at a net: as it trains, or as it is used."""
        return f"{self.train_stage}.prototxt" if phase == "TRAIN" else "deploy.prototxt"


_TASKS: Final = (
    Task(
        name="classification",
        variables=("variables.toml",),
        stages={"train_val": ("TRAIN", "TEST"), "deploy": ("TEST",)},
        solvers={"solver.prototxt": "solvers/solver.prototxt.j2"},
        scripts={"train.sh": "scripts/train.sh.j2", "test.sh": "scripts/test.sh.j2"},
        train_stage="train_val",
    ),
    Task(
        name="detection",
        variables=("variables.toml", "detection.toml"),
        stages={"train": ("TRAIN",), "test": ("TEST",), "deploy": ("TEST",)},
        solvers={
            "solver_train.prototxt": "solvers/detection.prototxt.j2",
            "solver_test.prototxt": "solvers/detection.prototxt.j2",
        },
        scripts={"train.sh": "scripts/train.sh.j2", "test.sh": "scripts/test_detection.sh.j2"},
        train_stage="train",
    ),
)
PHASES_OF_FILES: Final[Mapping[str, tuple[Phase, ...]]] = {
    f"{stage}.prototxt": phases for task in _TASKS for stage, phases in task.stages.items()
}
SOLVER_FILES: Final = tuple(name for task in _TASKS for name in task.solvers)


def task_named(name: str) -> Task:
    """Returns a task by its name.

    Raises:
        TemplateError: There is no such task.
    """
    known = {task.name: task for task in _TASKS}
    if name not in known:
        raise TemplateError(f"no task '{name}'; there are {', '.join(known)}")
    return known[name]
