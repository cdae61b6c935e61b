"""A recipe put over a net's own: its variables become defaults, and what is given still wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from caffeflow.errors import TemplateError
from caffeflow.recipes.checking import is_number
from caffeflow.recipes.recipe import Recipe, Result
from caffeflow.recipes.shipped import find_recipe, recipes
from caffeflow.render.catalog import Expected, Net, RecipeDataset, find_net
from caffeflow.render.variables import AUTO, TYPES, Variable, find_variable, from_toml

# What the recipe's epochs decide, so that the net's own recipe says nothing of it any more.
_BY_EPOCHS: Final = ("solver.max_iter", "solver.stepsize", "solver.stepvalue")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _one_or_list(is_one: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: all(map(is_one, value)) if isinstance(value, list) else is_one(value)


_IN_FILES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "int": _is_int,
    "float": is_number,
    "bool": lambda value: isinstance(value, bool),
    "str": lambda value: isinstance(value, str),
    "ints": _one_or_list(_is_int),
    "floats": _one_or_list(is_number),
    "size": lambda value: _one_or_list(_is_int)(value) and (_is_int(value) or len(value) == 2),
}
"""A variable's type -> whether a value of a recipe's file is of it."""


def recipes_of(net: str) -> tuple[Recipe, ...]:
    """Returns the recipes that are shipped for a net.

    Raises:
        TemplateError: A file is not as it must be.
    """
    return tuple(recipe for recipe in recipes() if recipe.net == net)


def find_net_by_recipe(name: str, variant: str | None, asked: str) -> Net:
    """Returns a net in the variant of a recipe, or in the one that is given, with its values as defaults.

    Args:
        name: A net's name or alias.
        variant: One of its variants, or None for the recipe's.
        asked: The recipe's name, or its file.

    Raises:
        TemplateError: There is no such net, variant or recipe, or the recipe is not for this net.
    """
    net = find_net(name, variant)
    recipe = find_recipe(asked, recipes_of(net.name), owner=f"net '{net.name}'")
    if recipe.net != net.name:
        raise TemplateError(f"{recipe.path}: is for net '{recipe.net}', not for '{net.name}'")
    return with_recipe(find_net(name, variant or recipe.variant or None), recipe)


def with_recipe(net: Net, recipe: Recipe) -> Net:
    """Returns a net with what a recipe says in place of the net's own recipe.

    Raises:
        TemplateError: The recipe names a variable that the net does not have, or a value that it cannot take.
    """
    values: dict[str, Any] = dict.fromkeys(_BY_EPOCHS, AUTO) | {"solver.epochs": recipe.epochs}
    for name, value in recipe.variables.items():
        try:
            variable = find_variable(name, net.variables, net=net.name)
            values[variable.name] = _taken(variable, value)
        except TemplateError as error:
            raise TemplateError(f"{recipe.path}: variables.{name}: {error}") from error
    origin = f"recipe {recipe.name}"
    is_own = net.variant in ("", recipe.variant or net.variant)
    return replace(
        net,
        recipe="; ".join([recipe.source, *recipe.notes]),
        expected=_expected(recipe.expected) if recipe.expected and is_own else None,
        dataset=RecipeDataset(**asdict(recipe.data)),
        variables=tuple(
            replace(each, default=values[each.name]) if each.name in values else each
            for each in net.variables
        ),
        sources={**net.sources, **dict.fromkeys(values, origin)},
        small_input={name: value for name, value in net.small_input.items() if name not in values},
        applied=recipe,
    )


def _taken(variable: Variable, value: Any) -> Any:
    """Returns a value as the variable has it; a recipe may be of the user's own, so its type is looked at."""
    is_auto = value == AUTO == variable.default
    if not is_auto and not _IN_FILES[variable.type](value):
        raise TemplateError(f"{variable.name}: {value!r} is not {TYPES[variable.type][1]}")
    return variable.check(from_toml(variable.type, value))


def _expected(result: Result) -> Expected | None:
    """Returns a result as nets have it; that of another net is none to be expected."""
    if result.of:
        return None
    return Expected(top1=result.top1, top5=result.top5, data=result.data, source=result.source)
