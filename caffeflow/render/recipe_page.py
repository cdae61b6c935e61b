"""docs/recipes.md: the recipes that are shipped, from their files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from caffeflow.recipes.recipe import Recipe
from caffeflow.recipes.shipped import recipes
from caffeflow.render.catalog import find_net
from caffeflow.render.check import check
from caffeflow.render.dataset import stand_in
from caffeflow.render.recipe import with_recipe
from caffeflow.render.render import Rendered, render_files, resolve
from caffeflow.render.resolve import Places
from caffeflow.render.rules_data import record_size

_HEAD: Final = """# Recipes that reach published accuracies

Made from `templates/recipes/` by `make docs`.

    caffeflow prepare cifar10 --download
    caffeflow render mobilenet-v2 --recipe cifar10
    caffeflow train --recipe cifar10
    caffeflow test

A recipe is a file for one net on one dataset: where its numbers come from, what accuracy was published, and
what it takes. `render` takes its variables (variant, strides, input, batch, solver), and what is given
beside it wins: `--batch-size 64`, `--epochs 30`, `--set net.width=0.5`. `train` takes its options, which
Caffe's files have no words for: augmentation, label smoothing, a cosine, a warm-up; again what is given
wins, and `run.json` keeps what was used. `caffeflow render --list` names the recipes. Both commands take a
file of your own as well, `--recipe mine.toml`; a key that does not exist is an error. So is a recipe for
another net: `train` goes by the net's name in its prototxt and by the variables that `render` left there.

Lengths are in epochs and become iterations of the dataset at hand: max_iter is epochs x training images /
(batch_size x iter_size), by the dataset's manifest or, as long as there is no dataset, by the published
number of images. Steps and the warm-up keep their place in a training that is made shorter or longer.

## What the options of `train` mean

* `--lr-policy cosine`: base_lr x (1 + cos(pi t / T)) / 2 in place of the solver's lr_policy. Without a
  warm-up, t is the iteration and T is max_iter; after a warm-up of N iterations t counts from its end, and
  T is max_iter - N.
* `--warmup N`: iteration t has (t + 1) / N of the policy's rate until t + 1 is N. It goes with every
  lr_policy; those of the solver count from the start as before, so a step at 30,000 stays there.
* `--label-smoothing EPS`: in every SoftmaxWithLoss of the train net a label counts 1 - EPS + EPS / K, and
  every other of the K classes EPS / K. The test net's loss stays plain, so that it can be compared.
* `--augment`, `--rand-scale`, `--color-jitter` change the pictures, as [augmentation](augmentation.md) says.

Without a recipe's part: `--augment none` keeps all of its three away, `--lr-policy solver` its cosine,
`--warmup 0` its warm-up, `--label-smoothing 0` its smoothing.

The rate depends on the iteration alone, so snapshots are what they were, and `--resume` takes all of these
from the run. The real Caffe has none of them: `--engine caffe` refuses each by name and says what does
instead, and `train.sh` says at its head what it leaves out. Its solver has the recipe's numbers, with a
straight line where the recipe has a cosine.

## What was not run here

No training of these recipes to its end stands behind this page. ImageNet takes days on GPUs, and CIFAR with
these nets hours; none was at hand, only two CPU cores. The accuracies are those of the sources.
What was checked: every recipe renders, its schedule follows the formulas above, and a short training with
it runs and resumes. Where a net or a recipe is not as its source, the notes below say so. Where no figure
is published for a net, the nearest one is named, and is no promise.

"""
_AFTER: Final = """
Work is that of all forward passes together, in 10^15 multiply-accumulates; backward passes come to about
twice as much again.
"""


@dataclass(frozen=True)
class _Entry:
    """A recipe with what is rendered by it."""

    recipe: Recipe

    @cached_property
    def rendered(self) -> Rendered:
        """The files as they are without any dataset."""
        recipe = self.recipe
        net = with_recipe(find_net(recipe.net, recipe.variant or None), recipe)
        places = Places(out_dir=Path("models") / net.name, working_dir=Path("/"))
        resolution = resolve(net, stand_in(net, Path("data")), places, {})
        return render_files(resolution, command="")

    @property
    def row(self) -> tuple[str, ...]:
        """A line of the table."""
        recipe, values = self.recipe, self.rendered.resolution
        shape = (values["net.channels"], *record_size(values))
        figures = check(self.rendered.texts, out_dir=Path("models"), record_shape=shape)
        images = values["data.batch_size"] * values["solver.iter_size"]
        iterations = values["solver.max_iter"]
        result = recipe.expected
        return (
            f"`{recipe.net}`",
            f"`{recipe.name}`",
            result.words if result else "",
            f"{recipe.epochs:g}",
            f"{iterations:,} x {images}",
            f"{figures.macs * images * iterations / 1e15:.3g}",
            ", ".join(f"`{words}`" for words in recipe.options.words),
        )

    @property
    def notes(self) -> str:
        """Where it is from."""
        recipe = self.recipe
        lines = [f"### {recipe.net}, {recipe.name}", "", f"* numbers: {recipe.source}"]
        if recipe.expected:
            lines.append(f"* accuracy: {recipe.expected.data}; {recipe.expected.source}")
        lines += [f"* note: {what}" for what in recipe.notes]
        return "\n".join(lines)


def recipes_page() -> str:
    """Returns docs/recipes.md."""
    entries = [_Entry(recipe) for recipe in recipes()]
    head = ("net", "recipe", "top-1 / top-5, %", "epochs", "iterations x images", "work", "beside the solver")
    lines = [head, ("---",) * len(head), *(entry.row for entry in entries)]
    table = "".join(f"| {' | '.join(row)} |\n" for row in lines)
    notes = "\n\n".join(entry.notes for entry in entries)
    return f"{_HEAD}## The recipes\n\n{table}{_AFTER}\n{notes}\n"
