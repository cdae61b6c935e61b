"""Which value each variable takes, and why.

Later sources win: the declaration, the net's recipe, its variant, what suits a small input, what a
solver type brings along, the dataset, and what the user gave. Values still `auto` are then worked
out by the rules in `caffeflow.render.rules_net`, `rules_data` and `rules_solver`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caffeflow.render.catalog import Net, solver_type_defaults, with_other_recipe
from caffeflow.render.dataset import Dataset
from caffeflow.render.variables import AUTO, Variable, find_variable, from_toml


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where files go, and how their paths are written.

    Attributes:
        out_dir: The folder that is written.
        working_dir: Where Caffe will be started, which relative paths count from.
        is_relative: Whether paths are written relative to it.
        has_gpu: Whether this machine seems to have an NVIDIA GPU.
    """

    out_dir: Path
    working_dir: Path
    is_relative: bool = False
    has_gpu: bool = False

    def written(self, path: Path) -> str:
        """Returns a path as it stands in a prototxt."""
        if self.is_relative:
            return os.path.relpath(self.working_dir / path, self.working_dir)
        return os.path.normpath(self.working_dir / path)


@dataclass
class Resolution:
    """The values on their way to being complete.

    Attributes:
        net: The net they are for.
        dataset: The dataset they are for.
        values: Full name to value.
        origins: Full name to where the value came from.
        given: The names that the user set.
        places: Where files go, and how their paths are written.
        notes: What the user should be told.
    """

    net: Net
    dataset: Dataset
    places: Places
    values: dict[str, Any]
    origins: dict[str, str]
    given: frozenset[str]
    notes: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def put(self, name: str, value: Any, origin: str) -> None:
        """Sets a value that was worked out."""
        self.values[name] = value
        self.origins[name] = origin

    def fill(self, name: str, value: Any, origin: str) -> None:
        """Sets a value that was worked out, unless the variable has one."""
        if self.values[name] == AUTO:
            self.put(name, value, origin)

    def group(self, name: str) -> dict[str, Any]:
        """Returns the values of a group, by their names without it."""
        prefix = f"{name}."
        return {
            key.removeprefix(prefix): value for key, value in self.values.items() if key.startswith(prefix)
        }


Rule = Callable[[Resolution], None]


def begin(net: Net, dataset: Dataset, places: Places, assignments: Mapping[str, str]) -> Resolution:
    """Returns the values before any rule has run.

    Args:
        net: The net.
        dataset: Its dataset.
        places: Where files go.
        assignments: What the user gave: name (with or without its group) to text.

    Raises:
        TemplateError: An unknown variable, or a value that it cannot take.
    """
    given: dict[str, Any] = {}
    for name, text in assignments.items():
        variable = find_variable(name, net.variables, net=net.name)
        given[variable.name] = variable.parse(text)
    net = with_other_recipe(net, given)
    declared = {variable.name: variable for variable in net.variables}
    values = {name: variable.default for name, variable in declared.items()}
    origins = {name: net.sources.get(name, variable.source) for name, variable in declared.items()}
    solver_type = given.get("solver.type", values["solver.type"])
    if solver_type != values["solver.type"]:
        defaults, source = solver_type_defaults(solver_type)
        _overlay(values, origins, declared, defaults, source)
    values.update(given)
    origins.update(dict.fromkeys(given, "given"))
    return Resolution(
        net=net, dataset=dataset, places=places, values=values, origins=origins, given=frozenset(given)
    )


def overlay_small_input(resolution: Resolution) -> None:
    """Takes the net's defaults for small inputs where they apply and nothing was given."""
    net = resolution.net
    if max(resolution["net.input_size"]) > net.small_input_side:
        return
    declared = {variable.name: variable for variable in net.variables}
    wanted = {name: value for name, value in net.small_input.items() if name not in resolution.given}
    source = f"input of {net.small_input_side} pixels or less"
    _overlay(resolution.values, resolution.origins, declared, wanted, source)


def _overlay(
    values: dict[str, Any],
    origins: dict[str, str],
    declared: Mapping[str, Variable],
    defaults: Mapping[str, Any],
    source: str,
) -> None:
    for name, value in defaults.items():
        values[name] = from_toml(declared[name].type, value)
        origins[name] = source
