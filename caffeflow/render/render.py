"""A net's files as text: prototxts of its stages and solvers, scripts, label map, and the variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from caffeflow.render.about import about_net, about_script, about_solver, made_by
from caffeflow.render.catalog import Net, find_net
from caffeflow.render.dataset import Dataset, stand_in
from caffeflow.render.environment import Group, render_template
from caffeflow.render.labels import LABEL_MAP, label_map_text
from caffeflow.render.resolve import Places, Resolution, Rule, begin
from caffeflow.render.rules_data import complete_data
from caffeflow.render.rules_detection import complete_detection
from caffeflow.render.rules_net import complete_net
from caffeflow.render.rules_solver import complete_solver
from caffeflow.render.variables import AUTO

_GROUPS: Final = ("net", "data", "solver")
_RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "classification": (complete_net, complete_data, complete_solver),
    "detection": (complete_detection, complete_solver),
}


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A net's files and what they were made of.

    Attributes:
        texts: File name to text.
        resolution: The values of all variables.
    """

    texts: Mapping[str, str]
    resolution: Resolution


def render_in_memory(
    name: str,
    *,
    variant: str | None = None,
    assignments: Mapping[str, str] | None = None,
    working_dir: Path | None = None,
) -> Rendered:
    """Returns a net's files as they are without any dataset, for those that only look at the net.

    Args:
        name: A net's name or alias.
        variant: One of its variants, or None for its first.
        assignments: Variable name to text.
        working_dir: Where paths begin; None for the working folder.

    Raises:
        TemplateError: An unknown net, variant or variable, or values that do not fit.
    """
    net = find_net(name, variant)
    places = Places(out_dir=Path("models") / net.name, working_dir=working_dir or Path.cwd())
    resolution = resolve(net, stand_in(net, Path("data")), places, assignments or {})
    return render_files(resolution, command=f"caffeflow render {net.name}")


def resolve(net: Net, dataset: Dataset, places: Places, assignments: Mapping[str, str]) -> Resolution:
    """Returns the value of every variable.

    Raises:
        TemplateError: An unknown variable, a value that it cannot take, or values that do not fit.
    """
    resolution = begin(net, dataset, places, assignments)
    for rule in _RULES[net.task.name]:
        rule(resolution)
    return resolution


def render_files(resolution: Resolution, *, command: str) -> Rendered:
    """Returns the texts of all files.

    Args:
        resolution: The values.
        command: The command line, for the comment at the head of each file.

    Raises:
        TemplateError: A template reads what is not set.
    """
    net = resolution.net
    texts = {
        f"{stage}.prototxt": render_stage(net.template, stage, resolution, command=command)
        for stage in net.task.stages
    }
    texts |= render_around(resolution, command=command)
    return Rendered(texts=texts, resolution=resolution)


def render_stage(template: str, stage: str, resolution: Resolution, *, command: str) -> str:
    """Returns a template's text for one stage of a net.

    Raises:
        TemplateError: The template reads what is not set.
    """
    about = Group("about", about_net(resolution, stage, command))
    return render_template(template, _groups(resolution) | {"about": about, "stage": stage})


def render_around(resolution: Resolution, *, command: str) -> dict[str, str]:
    """Returns the texts of all files but the net's prototxts: solvers, label map, scripts, variables.

    Raises:
        TemplateError: A template reads what is not set.
    """
    groups, net, task = _groups(resolution), resolution.net, resolution.net.task
    texts = {}
    for name, template in task.solvers.items():
        about = Group("about", about_solver(resolution, name, command))
        texts[name] = render_template(template, groups | {"about": about})
    if task.name == "detection":
        texts[LABEL_MAP] = label_map_text(resolution)
    for script, template in task.scripts.items():
        about = Group("about", about_script(resolution, script, command))
        texts[script] = render_template(template, groups | {"about": about})
    texts[f"{net.name}.variables.toml"] = _variables_text(resolution, command)
    return texts


def _groups(resolution: Resolution) -> dict[str, Any]:
    return {name: Group(name, resolution.group(name)) for name in _GROUPS}


def _variables_text(resolution: Resolution, command: str) -> str:
    net = resolution.net
    lines = [f"# {made_by(command)}", "", "[rendered]", f'net = "{net.name}"', f'variant = "{net.variant}"']
    lines += [f"recipe = {_toml(net.applied.name)}"] if net.applied else []
    for group in _GROUPS:
        lines += ["", f"[{group}]"]
        for name, value in resolution.group(group).items():
            if value != AUTO:
                lines.append(f"{name} = {_toml(value)}  # {resolution.origins[f'{group}.{name}']}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(each) for each in value)}]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
