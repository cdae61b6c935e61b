"""The nets that can be rendered, read from the `.toml` files beside the templates.

A file describes one template. Usually that is one net with, perhaps, variants; where variants are
nets of their own (`regnetx-400mf`), each variant names its net.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from caffeflow import resources
from caffeflow.errors import TemplateError, suggestion
from caffeflow.recipes.recipe import Recipe
from caffeflow.render.backbone import Backbone, read_backbone
from caffeflow.render.tasks import Task, task_named
from caffeflow.render.variables import Variable, from_toml

Defaults = Mapping[str, Any]

_GROUPS: Final = ("net", "data", "solver")
# What a variant may say in place of its file.
_OF_VARIANTS: Final = ("published", "expected", "recipe", "title", "dataset", "backbone")


@dataclass(frozen=True, kw_only=True)
class Published:
    """The model that others have published, whose weights load by name into the rendered net.

    Attributes:
        model: The file's name.
        source: Where its prototxt is.
        layers: The layers with weights, in order.
        classes: Kinds of objects that it detects, without the background; 0 for a classifier.
    """

    model: str
    source: str
    layers: tuple[str, ...]
    classes: int = 0


@dataclass(frozen=True, kw_only=True)
class Expected:
    """A published result in percent, accuracies or mean average precision: on which data, and who says so."""

    data: str
    source: str
    top1: float | None = None
    top5: float | None = None
    mean_ap: float | None = None


@dataclass(frozen=True, kw_only=True)
class RecipeDataset:
    """What a recipe was made for, and the command that makes it; it stands in until a dataset is given.

    Attributes:
        name: The dataset's name.
        prepare: The command.
        channels: Channels of every image.
        height: Height of every image; 0 where they differ.
        width: Width of every image; 0 where they differ.
        classes: Number of classes, with the background where there is one.
        train: Training images.
        val: Test images.
        class_names: The name of each label, the background's too; empty if the names do not matter.
    """

    name: str
    prepare: str
    channels: int
    height: int = 0
    width: int = 0
    classes: int
    train: int
    val: int
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What is said of a combination of values, as a refusal or as a remark: all conditions hold.

    Attributes:
        when: Variable name to a value, or a list of values.
        because: What the user is told.
    """

    when: Mapping[str, Any]
    because: str

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether all conditions hold."""
        return all(
            values[name] in (wanted if isinstance(wanted, list) else [wanted])
            for name, wanted in self.when.items()
        )


@dataclass(frozen=True, kw_only=True)
class OtherRecipe:
    """Defaults for what the net's own recipe was not made for.

    Attributes:
        when: Variable name to the value that asks for it.
        source: Where its numbers come from.
        defaults: Variable name to value.
    """

    when: Mapping[str, Any]
    source: str
    defaults: Defaults


@dataclass(frozen=True, kw_only=True)
class Net:
    """A net as asked for: the template, one variant, and the defaults of both.

    Attributes:
        name: What users call it.
        aliases: Other names that find it.
        title: A few words on what it is.
        task: What kind of net it is, which decides its stages and files.
        template: The template's path within the templates folder.
        variant: The variant, or an empty string if there are none.
        variants: All variants of this net and what each is.
        published: The model whose layer names it has, if there is one.
        recipe: Where the solver's numbers come from.
        expected: The published result, if there is one.
        dataset: What the recipe was made for.
        variables: All variables, with this net's defaults.
        sources: Where each default comes from that is not the declaration's own.
        refused: Combinations that make no sense.
        remarks: Combinations that users should know something about.
        other_recipes: Recipes for what the net's own was not made for.
        small_input: Defaults for inputs up to `small_input_side` pixels.
        small_input_side: See `small_input`; 0 if there are none.
        backbone: What a detection net's weights begin with; None for other nets.
        applied: The recipe of a file of its own that is put over the net's; None for the net's alone.
    """

    name: str
    aliases: tuple[str, ...]
    title: str
    task: Task
    template: str
    variant: str
    variants: Mapping[str, str]
    published: Published | None
    recipe: str
    expected: Expected | None
    dataset: RecipeDataset
    variables: tuple[Variable, ...]
    sources: Mapping[str, str]
    refused: tuple[Refusal, ...]
    remarks: tuple[Refusal, ...]
    other_recipes: tuple[OtherRecipe, ...]
    small_input: Defaults
    small_input_side: int
    backbone: Backbone | None
    applied: Recipe | None = None


def net_names() -> list[str]:
    """Returns the names of all nets, sorted by template and then in the order of the file."""
    return [name for path in _toml_files() for name in _names_in(path)]


def find_net(name: str, variant: str | None = None) -> Net:
    """Returns a net by its name or an alias.

    Raises:
        TemplateError: There is no such net, or it has no such variant.
    """
    known: dict[str, tuple[Path, str]] = {}
    for path in _toml_files():
        for own in _names_in(path):
            known[own] = (path, own)
        for alias in [*_read(path).get("aliases", ()), path.stem]:
            known.setdefault(alias, (path, _names_in(path)[0]))
    folded = {each.casefold(): found for each, found in known.items()}
    if name.casefold() not in folded:
        hint = suggestion(name.casefold(), folded) or f"; there are {', '.join(net_names())}"
        raise TemplateError(f"no net '{name}'{hint}")
    path, own = folded[name.casefold()]
    own = _read(path).get("variants", {}).get(variant, {}).get("net_name", own)
    return _build(path, own, variant)


def _build(path: Path, name: str, variant: str | None) -> Net:
    facts = _read(path)
    every = facts.get("variants", {})
    variants = {key: body for key, body in every.items() if body.get("net_name", name) == name}
    chosen = variant if variant is not None else next(iter(variants), "")
    if chosen and chosen not in variants:
        hint = suggestion(chosen, every) or f"; it has {', '.join(every) or 'no variants'}"
        raise TemplateError(f"net '{name}' has no variant '{chosen}'{hint}")
    body: Mapping[str, Any] = variants.get(chosen, {})
    merged = facts | {key: body[key] for key in _OF_VARIANTS if key in body}
    # What the variants' published models share stands in the file; an empty table says that there is none.
    if merged.get("published"):
        merged["published"] = {**facts.get("published", {}), **merged["published"]}
    recipe = merged["recipe"]["source"]
    defaults = _flat(facts.get("defaults", {})) | _flat(body)
    task = task_named(facts.get("task", "classification"))
    declared = [*shared_variables(task.name), *_declared("net", facts.get("variables", {}))]
    small = facts.get("small_input", {})
    return Net(
        name=name,
        aliases=tuple(facts.get("aliases", ())),
        title=merged["title"],
        task=task,
        template=f"nets/{path.stem}.prototxt.j2",
        variant=chosen,
        variants={key: value["help"] for key, value in variants.items()},
        published=Published(**_tupled(merged["published"])) if merged.get("published") else None,
        recipe=recipe,
        expected=Expected(**merged["expected"]) if merged.get("expected") else None,
        dataset=RecipeDataset(**_tupled(merged["dataset"])),
        variables=tuple(_with_default(variable, defaults, path.name) for variable in declared),
        sources={key: f"variant {chosen}" if key in _flat(body) else recipe for key in defaults},
        refused=tuple(Refusal(**refusal) for refusal in facts.get("refused", ())),
        remarks=tuple(Refusal(**remark) for remark in facts.get("remarks", ())),
        other_recipes=tuple(
            OtherRecipe(when=other["when"], source=other["source"], defaults=_flat(other))
            for other in facts.get("other_recipes", ())
        ),
        small_input=_flat(small),
        small_input_side=small.get("side", 0),
        backbone=read_backbone(merged["backbone"]) if "backbone" in merged else None,
    )


def with_other_recipe(net: Net, given: Mapping[str, Any]) -> Net:
    """Returns the net with the defaults of the other recipe that given values ask for, or as it is.

    Args:
        net: The net.
        given: Full names of variables to values.
    """
    values = {**{variable.name: variable.default for variable in net.variables}, **given}
    asked = [each for each in net.other_recipes if Refusal(when=each.when, because="").holds(values)]
    for other in asked:
        variables = tuple(_with_default(each, other.defaults, net.template) for each in net.variables)
        sources = {**net.sources, **dict.fromkeys(other.defaults, other.source)}
        net = replace(net, variables=variables, sources=sources, recipe=other.source)
    return net


def _with_default(variable: Variable, defaults: Defaults, where: str) -> Variable:
    if variable.name not in defaults:
        return variable
    value = from_toml(variable.type, defaults[variable.name])
    try:
        variable.check(value)
    except TemplateError as error:
        raise TemplateError(f"{where}: {error}") from error
    return replace(variable, default=value)


@cache
def shared_variables(task: str = "classification") -> tuple[Variable, ...]:
    """Returns the variables that every net of a task has, as declared, without any recipe's defaults."""
    tables = {name: _read(resources.templates_dir() / name) for name in task_named(task).variables}
    return tuple(
        variable
        for group in _GROUPS
        for name, groups in tables.items()
        for variable in _declared(group, groups.get(group, {}))
        # Detection has data and net variables of its own, and learns by the same solvers.
        if group == "solver" or name == task_named(task).variables[-1]
    )


def _declared(group: str, table: Mapping[str, Mapping[str, Any]]) -> list[Variable]:
    return [
        Variable(
            name=f"{group}.{name}",
            type=fields["type"],
            help=fields["help"],
            default=from_toml(fields["type"], fields["default"]),
            source=fields["source"],
            allowed=tuple(from_toml(fields["type"], value) for value in fields.get("allowed", ())),
            minimum=fields.get("minimum"),
            count=fields.get("count", 0),
            option=fields.get("option", ""),
        )
        for name, fields in table.items()
    ]


def solver_type_defaults(solver_type: str) -> tuple[Defaults, str]:
    """Returns the defaults of a solver type that is not the recipe's own, and where they come from."""
    table = dict(_read(resources.templates_dir() / "solvers" / "types.toml").get(solver_type, {}))
    source = table.pop("source", "")
    return {f"solver.{name}": value for name, value in table.items()}, source


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `{"net.classes": 10}` for `{"net": {"classes": 10}}`; other keys are left out."""
    return {f"{group}.{name}": value for group in _GROUPS for name, value in table.get(group, {}).items()}


def _tupled(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}


def _names_in(path: Path) -> list[str]:
    facts = _read(path)
    names = [body["net_name"] for body in facts.get("variants", {}).values() if "net_name" in body]
    return names or [facts["name"]]


def _toml_files() -> list[Path]:
    return sorted((resources.templates_dir() / "nets").glob("*.toml"))


@cache
def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise TemplateError(f"{path}: {error}") from error
