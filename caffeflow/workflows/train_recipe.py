"""A recipe's options in a training: those that are not given, in iterations of the solver at hand."""

from __future__ import annotations

import logging
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from caffeflow.augmentation import Augmentation
from caffeflow.errors import UsageError
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.net import NetRole, train_net_of
from caffeflow.proto.text import read_solver
from caffeflow.recipes.recipe import Recipe
from caffeflow.recipes.shipped import find_recipe, recipes
from caffeflow.workflows.train_record import Screen
from caffeflow.workflows.train_settings import TrainSettings

_log = logging.getLogger(__name__)

# What a solver that was rendered otherwise is most likely to lack.
_COMPARED: Final = ("base_lr", "momentum", "weight_decay", "iter_size")
_FLOAT32: Final = 1e-6


def with_recipe(settings: TrainSettings, screen: Screen) -> TrainSettings:
    """Returns the settings with what a recipe says where nothing is given; without a recipe, as they are.

    Raises:
        UsageError: The recipe is for another net than the solver's, or for another variant of it.
        TemplateError: There is no such recipe, or its file is not as it must be.
        NetError: Solver or net cannot be read.
    """
    if settings.recipe is None:
        return settings
    solver = read_solver(settings.solver)
    role = train_net_of(
        solver, solver_path=settings.solver, level=settings.level or 0, stages=settings.stages or ()
    )
    recipe = _find(settings.recipe, role, settings.solver)
    for remark in _differences(recipe, solver):
        screen.note(f"{settings.solver}: {remark}")
    max_iter = settings.iterations if settings.iterations is not None else solver.max_iter
    options = recipe.options
    return replace(
        settings,
        augmentation=_augmentation(settings.augmentation, recipe),
        lr_policy=settings.lr_policy or options.lr_policy,
        warmup=recipe.warmup(max_iter) if settings.warmup is None else settings.warmup,
        label_smoothing=(
            options.label_smoothing if settings.label_smoothing is None else settings.label_smoothing
        ),
    )


def _find(asked: str, role: NetRole, solver: Path) -> Recipe:
    name, rendered = role.net.name, _rendered_as(role.net_file.path.parent)
    named = [recipe for recipe in recipes() if recipe.net_name == name]
    if not named and not asked.endswith(".toml"):
        nets = ", ".join(dict.fromkeys(recipe.net_name for recipe in recipes()))
        raise UsageError(
            f"--recipe {asked}: {solver} trains net '{name}', and there are recipes for {nets} only; leave it"
            " out, or give a file of your own"
        )
    fitting = [recipe for recipe in named if recipe.net in rendered] or named
    recipe = find_recipe(asked, fitting, owner=f"net '{name}'")
    if recipe.net_name != name:
        raise UsageError(
            f"--recipe {asked}: is for net '{recipe.net_name}', but {solver} trains '{name}'; leave it out,"
            " or give another"
        )
    if rendered and recipe.net not in rendered:
        raise UsageError(
            f"--recipe {asked}: is for '{recipe.net}', but {solver} trains '{name}' as rendered for"
            f" '{', '.join(sorted(rendered))}'; leave it out, or give a file of your own"
        )
    return recipe


def _rendered_as(folder: Path) -> set[str]:
    """Returns for which nets of the catalogue a folder was rendered; none, if that is not known.

    A net's name in its prototxt does not tell: RegNetX is called so in all its sizes.
    """
    found = set()
    for path in folder.glob("*.variables.toml"):
        try:
            found.add(str(tomllib.loads(path.read_text(encoding="utf-8"))["rendered"]["net"]))
        except (OSError, ValueError, TypeError, KeyError) as error:
            _log.info("%s: names no net of the catalogue: %s", path, error)
    return found


def _augmentation(given: Augmentation | None, recipe: Recipe) -> Augmentation | None:
    options = recipe.options
    asked = given or Augmentation()
    if asked.augment == "none":
        return asked
    return Augmentation.find(
        augment=asked.augment or options.augment,
        rand_scale=asked.rand_scale or options.rand_scale,
        color_jitter=asked.color_jitter or options.color_jitter,
    )


def _differences(recipe: Recipe, solver: SolverParameter) -> Iterator[str]:
    """Yields a remark for each number of the solver that is not the recipe's."""
    for name in _COMPARED:
        wanted, found = recipe.variables.get(f"solver.{name}"), getattr(solver, name)
        if wanted is not None and abs(found - wanted) > _FLOAT32 * abs(wanted):
            yield f"{name} is {found:g}, in recipe {recipe.name} {wanted:g}"
