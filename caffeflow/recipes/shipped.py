"""The recipes that are shipped, and how one is found by its name or its path."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from caffeflow.errors import TemplateError, suggestion
from caffeflow.recipes.reading import datasets, folder, read_recipe
from caffeflow.recipes.recipe import Recipe


@cache
def recipes() -> tuple[Recipe, ...]:
    """Returns the recipes that are shipped, by net and dataset.

    Raises:
        TemplateError: A file is not as it must be.
    """
    order = list(datasets())
    # A net's name may have a dot in it, a dataset's may not: regnetx-1.6gf.cifar10.toml.
    files = [path for path in folder().glob("*.toml") if "." in path.stem]
    found = [read_recipe(path, name=path.stem.rpartition(".")[2]) for path in files]
    return tuple(sorted(found, key=lambda recipe: (recipe.net, order.index(recipe.data.name))))


def find_recipe(asked: str, shipped: Sequence[Recipe], *, owner: str) -> Recipe:
    """Returns the recipe of a name among those that come into question, or that of a file.

    Args:
        asked: A name, or a path that ends in .toml.
        shipped: The recipes to look among.
        owner: What they are for, for the message.

    Raises:
        TemplateError: There is none, or its file is not as it must be.
    """
    if asked.endswith(".toml"):
        return read_recipe(Path(asked), name=asked)
    known = {recipe.name: recipe for recipe in shipped}
    if asked in known:
        return known[asked]
    if not known:
        nets = ", ".join(dict.fromkeys(recipe.net for recipe in recipes()))
        raise TemplateError(f"{owner} has no recipes; they are for {nets}, or give a file of your own")
    hint = suggestion(asked, known) or f"; there are {', '.join(known)}, or give a file of your own"
    raise TemplateError(f"no recipe '{asked}' for {owner}{hint}")
