"""A net's files as text: train_val, deploy and solver prototxts, and the two scripts."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from caffeflow import __version__
from caffeflow.render.catalog import Net
from caffeflow.render.dataset import Dataset
from caffeflow.render.environment import Group, render_template
from caffeflow.render.resolve import Places, Resolution, begin
from caffeflow.render.rules_data import complete_data, source_exists
from caffeflow.render.rules_net import complete_net
from caffeflow.render.rules_solver import complete_solver
from caffeflow.render.variables import AUTO

STAGES: Final = ("train_val", "deploy")
SCRIPTS: Final = ("train.sh", "test.sh")
_GROUPS: Final = ("net", "data", "solver")


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A net's files and what they were made of.

    Attributes:
        texts: File name to text.
        resolution: The values of all variables.
    """

    texts: Mapping[str, str]
    resolution: Resolution


def resolve(net: Net, dataset: Dataset, places: Places, assignments: Mapping[str, str]) -> Resolution:
    """Returns the value of every variable.

    Raises:
        TemplateError: An unknown variable, a value that it cannot take, or values that do not fit.
    """
    resolution = begin(net, dataset, places, assignments)
    for rule in (complete_net, complete_data, complete_solver):
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
    groups: dict[str, Any] = {name: Group(name, resolution.group(name)) for name in _GROUPS}
    texts = {}
    for stage in STAGES:
        about = Group("about", _about_net(resolution, stage, command))
        texts[f"{stage}.prototxt"] = render_template(
            resolution.net.template, groups | {"about": about, "stage": stage}
        )
    about = Group("about", _about_solver(resolution, command))
    texts["solver.prototxt"] = render_template("solvers/solver.prototxt.j2", groups | {"about": about})
    for script in SCRIPTS:
        about = Group("about", _about_script(resolution, script, command))
        texts[script] = render_template(f"scripts/{script}.j2", groups | {"about": about})
    texts[f"{resolution.net.name}.variables.toml"] = variables_text(resolution, command)
    return Rendered(texts=texts, resolution=resolution)


def variables_text(resolution: Resolution, command: str) -> str:
    """Returns the values of all variables as TOML, each with its origin."""
    net = resolution.net
    lines = [*_made_by(command), "", f'net = "{net.name}"', f'variant = "{net.variant}"']
    for group in _GROUPS:
        lines += ["", f"[{group}]"]
        for name, value in resolution.group(group).items():
            if value != AUTO:
                lines.append(f"{name} = {_toml(value)}  # {resolution.origins[f'{group}.{name}']}")
    return "\n".join(lines) + "\n"


def _made_by(command: str) -> list[str]:
    return [f"# Made by caffeflow {__version__}: {command}"]


def _about_net(resolution: Resolution, stage: str, command: str) -> dict[str, Any]:
    net, dataset = resolution.net, resolution.dataset
    height, width = resolution["net.input_size"]
    purpose = "for training and testing" if stage == "train_val" else "for use: scores from images"
    size = f"{resolution['net.channels']}x{height}x{width} (channels x height x width)"
    lines = [
        f"{net.title}{f'; variant {net.variant}' if net.variant else ''}; {purpose}.",
        f"Made by caffeflow {__version__}: {command}",
        f"Input {size}, {resolution['net.classes']} classes, dataset '{dataset.name}'.",
        f"Pixels: {_pixels(resolution)}.",
    ]
    if net.published:
        lines.append(f"Layer names as in {net.published.model}.")
    is_missing = stage == "train_val" and dataset.is_missing and not source_exists(resolution)
    missing = f"  # not there yet; '{net.dataset.prepare}' makes it" if is_missing else ""
    return {"lines": lines, "missing": missing}


def _pixels(resolution: Resolution) -> str:
    order = "gray" if resolution["net.channels"] == 1 else "B, G, R"
    mean = {
        "file": "less the mean image",
        "values": "less " + ", ".join(f"{value:g}" for value in resolution["data.mean_values"]),
        "none": "no mean",
    }[resolution["data.mean"]]
    scale = resolution["data.scale"]
    times = "" if scale == (1,) else ", times " + ", ".join(f"{factor:g}" for factor in scale)
    return f"{order}, 0 to 255, {mean}{times}"


def _about_solver(resolution: Resolution, command: str) -> dict[str, Any]:
    net = resolution.net
    lines = [
        f"Solver for {net.title}.",
        f"Made by caffeflow {__version__}: {command}",
        f"Recipe: {net.recipe}.",
    ]
    if net.expected:
        figures = [
            f"{value:g} % top-{k}"
            for k, value in ((1, net.expected.top1), (5, net.expected.top5))
            if value is not None
        ]
        lines.append(f"Expected: {', '.join(figures)} on {net.expected.data}; source: {net.expected.source}.")
    changed = sorted(name for name in resolution.given if name.startswith("solver."))
    if changed:
        lines.append(f"Not as in the recipe: {', '.join(changed)}.")
    written = resolution.places.written(resolution.places.out_dir / "train_val.prototxt")
    return {"lines": lines, "net_path": written}


def _about_script(resolution: Resolution, script: str, command: str) -> dict[str, Any]:
    places = resolution.places
    purpose = {"train.sh": "Trains", "test.sh": "Tests"}[script]
    # Relative paths count from where Caffe is started, so the script goes there first.
    start = (
        os.path.relpath(places.working_dir, places.working_dir / places.out_dir) if places.is_relative else ""
    )
    words = {stem: places.written(places.out_dir / f"{stem}.prototxt") for stem in ("train_val", "solver")}
    words |= {"snapshot_prefix": resolution["solver.snapshot_prefix"], "start": start}
    return {
        "lines": [
            f"{purpose} {resolution.net.name} with the plain caffe binary: $CAFFE, else caffe on the PATH.",
            f"Made by caffeflow {__version__}: {command}",
        ],
    } | {name: shlex.quote(word) if word else "" for name, word in words.items()}


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(each) for each in value)}]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
