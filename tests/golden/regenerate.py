"""Writes the rendered nets of this folder anew: `python -m tests.golden.regenerate`.

They are change detectors made by our own templates; no claim of correctness rests on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from caffeflow.render.catalog import find_net, net_names
from caffeflow.render.dataset import stand_in
from caffeflow.render.recipe import find_net_by_recipe
from caffeflow.render.render import render_files, render_in_memory, resolve
from caffeflow.render.resolve import Places

NETS = Path(__file__).resolve().parent / "nets"
RECIPES = NETS.with_name("recipes")
BY_RECIPE = [("regnetx-800mf", "imagenet"), ("resnet50", "cifar100")]


def cases() -> Iterator[tuple[str, str, str]]:
    """Yields (name of the golden files, net, variant) of every net in every variant."""
    for name in net_names():
        variants = list(find_net(name).variants) or [""]
        for variant in variants:
            yield name if variant == variants[0] else f"{name}-{variant}", name, variant


def texts(net: str, variant: str) -> dict[str, str]:
    """Returns the texts of a net's prototxts by name (`deploy`, `solver`), with paths that no machine has."""
    rendered = render_in_memory(net, variant=variant or None, working_dir=Path("/somewhere"))
    ending = ".prototxt"
    return {name.removesuffix(ending): text for name, text in rendered.texts.items() if name.endswith(ending)}


def recipe_texts(net: str, recipe: str) -> dict[str, str]:
    """Returns the texts that a recipe decides, likewise: train_val, solver and train.sh."""
    found = find_net_by_recipe(net, None, recipe)
    places = Places(out_dir=Path("models") / net, working_dir=Path("/somewhere"))
    resolution = resolve(found, stand_in(found, Path("data")), places, {})
    texts = render_files(resolution, command=f"caffeflow render {net} --recipe {recipe}").texts
    return {name: texts[name] for name in ("train_val.prototxt", "solver.prototxt", "train.sh")}


def regenerate() -> None:
    """Writes all files."""
    NETS.mkdir(exist_ok=True)
    for golden, net, variant in cases():
        for stage, text in texts(net, variant).items():
            (NETS / f"{golden}.{stage}.prototxt").write_text(text)
    RECIPES.mkdir(exist_ok=True)
    for net, recipe in BY_RECIPE:
        for name, text in recipe_texts(net, recipe).items():
            (RECIPES / f"{net}.{recipe}.{name}").write_text(text)


if __name__ == "__main__":
    regenerate()
