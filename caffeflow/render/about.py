"""The words of rendered files that are no variables: comments at the head, paths of the scripts."""

from __future__ import annotations

import os
import shlex
from textwrap import wrap
from typing import Any, Final

from caffeflow import __version__
from caffeflow.render.catalog import Expected
from caffeflow.render.resolve import Resolution
from caffeflow.render.rules_data import source_exists

_COLUMNS: Final = 110
_PURPOSES: Final = {
    ("classification", "train_val"): "for training and testing",
    ("classification", "deploy"): "for use: scores from images",
    ("detection", "train"): "for training",
    ("detection", "test"): "for testing",
    ("detection", "deploy"): "for use: boxes from images",
}


def about_net(resolution: Resolution, stage: str, command: str) -> dict[str, Any]:
    """Returns what a net's template calls `about`: `lines` of comment and the `missing` remark.

    Args:
        resolution: The values.
        stage: One of the net's stages.
        command: The command line.
    """
    net, dataset = resolution.net, resolution.dataset
    height, width = resolution["net.input_size"]
    purpose = _PURPOSES[net.task.name, stage]
    size = f"{resolution['net.channels']}x{height}x{width} (channels x height x width)"
    lines = [
        f"{titled(resolution)}; {purpose}.",
        made_by(command),
        f"Input {size}, {_classes(resolution)}, dataset '{dataset.name}'.",
        f"Pixels: {_pixels(resolution)}.",
    ]
    if net.published:
        lines.append(f"Layer names as in {net.published.model}.")
    is_missing = stage != "deploy" and dataset.is_missing and not source_exists(resolution)
    missing = f"  # not there yet; '{net.dataset.prepare}' makes it" if is_missing else ""
    return {"lines": _wrapped(lines), "missing": missing}


def about_solver(resolution: Resolution, name: str, command: str) -> dict[str, Any]:
    """Returns what a solver's template calls `about`: `lines` of comment, paths, and whether it trains.

    Args:
        resolution: The values.
        name: The solver's file.
        command: The command line.
    """
    net, places = resolution.net, resolution.places
    trains = name == net.task.train_solver
    purpose = "Solver for" if trains else "Tests by a training of no iteration:"
    lines = [f"{purpose} {titled(resolution)}.", made_by(command)]
    if trains:
        lines += [f"Recipe: {net.recipe}.", *_beside(resolution, name)]
        changed = sorted(name for name in resolution.given if name.startswith("solver."))
        if net.expected:
            lines.append(f"Expected: {_figures(net.expected)}; source: {net.expected.source}.")
        if changed:
            lines.append(f"Not as in the recipe: {', '.join(changed)}.")
    paths = {stage: places.written(places.out_dir / f"{stage}.prototxt") for stage in net.task.stages}
    return {
        "lines": _wrapped(lines),
        "net_path": paths[net.task.train_stage],
        "test_path": paths.get("test", ""),
        "trains": trains,
    }


def about_script(resolution: Resolution, script: str, command: str) -> dict[str, Any]:
    """Returns what a script's template calls `about`; its paths are words for a shell."""
    places, task = resolution.places, resolution.net.task
    purpose = {"train.sh": "Trains", "test.sh": "Tests"}[script]
    lines = [
        f"{purpose} {resolution.net.name} with the plain caffe binary: $CAFFE, else caffe on the PATH.",
        made_by(command),
    ]
    lines += _beside(resolution, task.train_solver) if script == "train.sh" else []
    files = {
        "net": f"{task.train_stage}.prototxt",
        "solver": task.train_solver,
        "test_solver": list(task.solvers)[-1],
    }
    words = {name: places.written(places.out_dir / file) for name, file in files.items()}
    words["snapshot_prefix"] = resolution["solver.snapshot_prefix"]
    # Relative paths count from where Caffe is started, so the script goes there first.
    out_dir = places.working_dir / places.out_dir
    words["start"] = os.path.relpath(places.working_dir, out_dir) if places.is_relative else ""
    return {"lines": _wrapped(lines)} | {name: word and shlex.quote(word) for name, word in words.items()}


def _beside(resolution: Resolution, solver: str) -> list[str]:
    """Returns what a recipe has beside the solver, which plain Caffe does not do."""
    recipe = resolution.net.applied
    if recipe is None or not recipe.options.words:
        return []
    return [
        f"Of the recipe, plain Caffe has no words for {', '.join(recipe.options.words)}; this does it:"
        f" {train_words(resolution, solver)}"
    ]


def train_words(resolution: Resolution, solver: str) -> str:
    """Returns the command that trains with the embedded engine."""
    places, recipe = resolution.places, resolution.net.applied
    words = ["caffeflow", "train", "--solver", str(places.out_dir / solver)]
    if recipe is not None and recipe.options.words:
        words += ["--recipe", recipe.name]
    return shlex.join(words)


def made_by(command: str) -> str:
    """Returns the sentence that says how a file was made."""
    return f"Made by caffeflow {__version__}: {' '.join(command.split())}"


def titled(resolution: Resolution) -> str:
    """Returns the net's title, with its variant if there are several."""
    net = resolution.net
    return f"{net.title}, variant {net.variant}" if len(net.variants) > 1 else net.title


def _classes(resolution: Resolution) -> str:
    classes = resolution["net.classes"]
    if resolution.net.task.name == "classification":
        return f"{classes} classes"
    return f"{classes + 1} classes with the background"


def _pixels(resolution: Resolution) -> str:
    order = "gray" if resolution["net.channels"] == 1 else "B, G, R"
    is_detection = resolution.net.task.name == "detection"
    values = resolution["data.mean" if is_detection else "data.mean_values"]
    means = {
        "file": "less the mean image",
        "values": "less " + ", ".join(f"{value:g}" for value in values),
        "none": "no mean",
    }
    mean = means["values" if is_detection else resolution["data.mean"]]
    scale = resolution["data.scale"]
    scale = (scale,) if isinstance(scale, float) else scale
    times = "" if scale == (1,) else ", times " + ", ".join(f"{factor:g}" for factor in scale)
    return f"{order}, 0 to 255, {mean}{times}"


def _figures(expected: Expected) -> str:
    tops = ((1, expected.top1), (5, expected.top5))
    figures = [f"{value:g} % top-{k}" for k, value in tops if value is not None]
    figures += [f"{expected.mean_ap:g} % mean average precision"] if expected.mean_ap is not None else []
    return f"{', '.join(figures)} on {expected.data}"


def _wrapped(lines: list[str]) -> list[str]:
    return [
        part
        for line in lines
        for part in wrap(
            line, _COLUMNS, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
        )
    ]
