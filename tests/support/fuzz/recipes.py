"""Training recipes, which users may write themselves: TOML near the shipped ones, put over their net."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from caffeflow.recipes.reading import read_recipe
from caffeflow.recipes.shipped import recipes
from caffeflow.render.catalog import find_net
from caffeflow.render.recipe import with_recipe
from tests.support.fuzz.mutations import bytes_near
from tests.support.fuzz.target import of_files

_PIECES: Final = tuple(
    piece.encode()
    for piece in (
        "=", "\n", "[", "]", "[[", "{", "}", ",", '"', "'''", "#", "\n[train]\n", "\n[variables.net]\n", "nan",
        "-inf", "true", "-1", "0", "1.5", "9" * 400, "9" * 5000, "[" * 5000, "1979-05-27", "[1, 2]", '"auto"', '"x"',
        "{ a = 1 }", "width = ", "strides = ", "input_size = ", "mirror = ", "type = ", "base_lr = ", "epochs = 1\n",
        "\ufeff", "\N{SNOWMAN}",
    )
)  # fmt: skip


def _read(path: Path) -> None:
    recipe = read_recipe(path, name="mine")
    with_recipe(find_net(recipe.net, recipe.variant or None), recipe)


TARGETS: Final = (
    of_files(
        "recipe", bytes_near([recipe.path.read_bytes() for recipe in recipes()], _PIECES), _read, "mine.toml"
    ),
)
