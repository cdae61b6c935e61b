"""Reads a recipe's file. A key that `checking` does not declare is an error, so nothing is passed over."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from caffeflow import resources
from caffeflow.errors import TemplateError
from caffeflow.recipes.checking import EXPECTED, KEYS, OPTIONS, TABLES, Table
from caffeflow.recipes.recipe import Recipe, RecipeData, Result, TrainOptions


def read_recipe(path: Path, *, name: str) -> Recipe:
    """Reads a recipe.

    Raises:
        TemplateError: The file cannot be read, or has a key or a value that it cannot have.
    """
    facts = Table(path, "", _load(path), KEYS)
    options = facts.table("train", OPTIONS)
    epochs = facts["epochs"]
    steps = tuple(facts.get("step_epochs", ()))
    for key, values in (("step_epochs", steps), ("train.warmup_epochs", (options.get("warmup_epochs", 0),))):
        if any(value >= epochs for value in values):
            raise facts.error(key, f"{max(values):g} is not before the end, epochs = {epochs:g}")
    return Recipe(
        name=name,
        path=path,
        net=facts["net"],
        net_name=facts["net_name"],
        variant=facts.get("variant", ""),
        data=datasets()[facts["dataset"]],
        epochs=epochs,
        step_epochs=steps,
        source=facts["source"],
        notes=tuple(facts.get("notes", ())),
        expected=_expected(facts.table("expected", EXPECTED)) if "expected" in facts.values else None,
        variables={
            f"{group}.{key}": value
            for group, values in facts.table("variables", TABLES).values.items()
            for key, value in values.items()
        },
        options=_options(options),
    )


def _expected(facts: Table) -> Result:
    return Result(
        data=facts["data"],
        source=facts["source"],
        top1=facts["top1"],
        top5=facts.get("top5"),
        of=facts.get("of", ""),
    )


def _options(facts: Table) -> TrainOptions:
    return TrainOptions(
        lr_policy=facts.get("lr_policy"),
        warmup_epochs=facts.get("warmup_epochs", 0.0),
        label_smoothing=facts.get("label_smoothing"),
        augment=facts.get("augment"),
        rand_scale=tuple(facts["rand_scale"]) if "rand_scale" in facts.values else None,
        color_jitter=facts.get("color_jitter"),
    )


@cache
def datasets() -> Mapping[str, RecipeData]:
    """Returns the datasets that recipes are for, by name."""
    tables = _load(folder() / "datasets.toml")
    return {name: RecipeData(name=name, **table) for name, table in tables.items()}


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TemplateError(f"{path}: cannot read the recipe: {error.strerror}") from error
    except RecursionError as error:
        raise TemplateError(f"{path}: is nested too deeply for a recipe; do not use it") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TemplateError(f"{path}: {error}") from error
    except ValueError as error:
        raise TemplateError(f"{path}: has a number of thousands of digits; no value needs that") from error


def folder() -> Path:
    """Returns where the recipes lie."""
    return resources.templates_dir() / "recipes"
