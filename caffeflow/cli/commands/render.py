"""`caffeflow render`: a net's prototxts, solver and scripts."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from caffeflow.cli import console, options, template_options

if TYPE_CHECKING:
    from caffeflow.recipes.recipe import Recipe
    from caffeflow.workflows.render import Report, Request

# Option (as Click names its value) to variable.
_VARIABLES = {
    "classes": "net.classes",
    "input_size": "net.input_size",
    "width": "net.width",
    "activation": "net.activation",
    "conv_engine": "net.conv_engine",
    "padding": "net.padding",
    "bn": "net.bn",
    "conf_loss": "net.conf_loss",
    "min_ratio": "net.min_ratio",
    "max_ratio": "net.max_ratio",
    "pool": "net.pool",
    "backend": "data.backend",
    "batch_size": "data.batch_size",
    "test_batch_size": "data.test_batch_size",
    "augment": "data.augment",
    "accum": "solver.iter_size",
    "mean": "data.mean",
    "scale": "data.scale",
}

_SHOWN = 12  # new layers that are named


@click.command("render", epilog="Example: caffeflow render lenet --dry-run --classes 10 --max-iter 500")
@click.argument("net", required=False)
@click.option("--list", "list_nets", is_flag=True, help="List the nets, as does no NET at all.")
@click.option("--show", is_flag=True, help="Print the net's variables.")
@click.option("--variant", metavar="NAME", help="Variant of the net.")
@click.option("--recipe", metavar="NAME", help="Recipe of a published accuracy (see --list), or FILE.toml.")
@click.option(
    "--data", "data_dir", type=options.FOLDER, help="Dataset folder [default: the only one in data/]."
)
@click.option("--classes", metavar="N", help="Classes; background not counted [default: the dataset's].")
@click.option("--input-size", metavar="SIZE", help="Side of the net's input, or HxW.")
@click.option("--width", metavar="FACTOR", help="Width multiplier, for nets that have one.")
@click.option("--activation", metavar="KIND", help="relu, relu6 or clip (0 to 6).")
@click.option("--conv-engine", metavar="ENGINE", help="Of depthwise convolutions: caffe, cudnn, default.")
@click.option("--padding", metavar="KIND", help="SSDLite's: slice, tf or caffe (see --show).")
@click.option("--bn/--no-bn", "bn", default=None, help="BatchNorm in SSDLite's backbone: from scratch.")
@click.option("--conf-loss", metavar="KIND", help="A detection net's scores: softmax or logistic.")
@click.option("--min-ratio", metavar="PERCENT", help="Smallest prior box, of the input's shorter side.")
@click.option("--max-ratio", metavar="PERCENT", help="Smallest side of the last map's prior boxes.")
@click.option("--pool", metavar="KIND", help="Rounding of resnet50's pooling: caffe, floor, slice; or none.")
@click.option("--backend", metavar="KIND", help="Kind of data layer: lmdb or imagedata.")
@click.option("--batch-size", metavar="N", help="Training images in a batch.")
@click.option("--test-batch-size", metavar="N", help="Test images in a batch.")
@click.option("--accum", metavar="N", help="Batches whose gradients make one iteration (iter_size).")
@click.option("--augment", metavar="KIND", help="Of a detection net's training images: ssd or none.")
@click.option("--mean", metavar="MEAN", help="What is subtracted: file, values, none, or numbers B,G,R.")
@click.option("--scale", metavar="SCALE", help="Factor on the pixels; three (B,G,R) make a frozen layer.")
@template_options.solver_options
@options.set_values
@click.option("--relative", is_flag=True, help="Write paths relative to this folder, not absolute.")
@options.out("Folder to write [default: models/NET].")
@options.force
@options.dry_run
@options.json_output
@click.pass_context
def command(
    context: click.Context,
    /,
    net: str | None,
    list_nets: bool,
    show: bool,
    variant: str | None,
    recipe: str | None,
    data_dir: Path | None,
    gpu: bool | None,
    bn: bool | None,
    assignments: tuple[str, ...],
    relative: bool,
    out_dir: Path | None,
    force: bool,
    dry_run: bool,
    as_json: bool,
    **settings: str | None,
) -> None:
    """Render a net to prototxts of its stages and solvers, with scripts for plain Caffe."""
    from caffeflow.workflows import render as workflow

    if list_nets or net is None:
        _print_nets(as_json)
        return
    request = workflow.Request(
        net=net,
        variant=variant,
        data_dir=data_dir,
        recipe=recipe,
        assignments=template_options.assigned(
            settings | {"bn": None if bn is None else str(bn)}, assignments, variables=_VARIABLES, gpu=gpu
        ),
        out_dir=out_dir,
        is_relative=relative,
        command=template_options.command_line(context, without=("force", "dry_run", "as_json", "show")),
    )
    if show:
        _print_variables(request, as_json)
        return
    _print_report(workflow.render_net(request, is_dry_run=dry_run, force=force), dry_run, as_json)


def _print_nets(as_json: bool) -> None:
    from caffeflow.render.catalog import find_net, net_names
    from caffeflow.render.recipe import recipes_of

    nets = [find_net(name) for name in net_names()]
    if as_json:
        console.json(
            [
                {
                    "name": net.name,
                    "title": net.title,
                    "variants": list(net.variants),
                    "recipes": {
                        recipe.name: asdict(recipe.expected) if recipe.expected else None
                        for recipe in recipes_of(net.name)
                    },
                }
                for net in nets
            ]
        )
        return
    from rich.table import Table

    table = Table("net", "what", "variants", "recipes, and the accuracies they are for", box=None)
    for net in nets:
        known = "\n".join(_recipe_words(recipe) for recipe in recipes_of(net.name))
        table.add_row(net.name, net.title, ", ".join(net.variants), known)
    console.result(table)


def _recipe_words(recipe: Recipe) -> str:
    return f"{recipe.name}: {recipe.expected.words}" if recipe.expected else recipe.name


def _print_variables(request: Request, as_json: bool) -> None:
    from caffeflow.workflows.render import resolve_net

    resolution = resolve_net(request)
    rows = [
        {
            "name": each.name,
            "value": resolution[each.name],
            "type": each.type,
            "default": each.default,
            "allowed": list(each.allowed),
            "help": each.help,
            "source": resolution.origins[each.name] or each.source,
            "option": each.option,
        }
        for each in resolution.net.variables
    ]
    if as_json:
        console.json(rows)
        return
    from rich.table import Table

    table = Table(
        "variable", "value", "type", "default", "allowed", "what it is, and why this value", box=None
    )
    for row in rows:
        about = f"{row['help']} [{row['source']}]" + (f" {row['option']}" if row["option"] else "")
        table.add_row(*(_word(row[key]) for key in ("name", "value", "type", "default", "allowed")), about)
    console.result(table)


def _print_report(report: Report, is_dry_run: bool, as_json: bool) -> None:
    from caffeflow.render.about import train_words

    resolution, net = report.resolution, report.resolution.net
    for note in resolution.notes:
        console.note(f"note: {note}")
    if as_json:
        files = report.rendered.texts if is_dry_run else [str(path) for path in report.paths]
        console.json(
            {
                "net": net.name,
                "variant": net.variant,
                "recipe": net.applied.name if net.applied else None,
                "out": str(report.out_dir),
                "files": files,
                "params": report.figures.params,
                "macs": report.figures.macs,
                "new_layers": report.new_layers,
                "variables": resolution.values,
                "notes": resolution.notes,
            }
        )
        return
    if is_dry_run:
        for name, text in report.rendered.texts.items():
            console.plain(f"# ---- {report.out_dir / name}\n{text}")
        return
    height, width = resolution["net.input_size"]
    figures = report.figures
    name = f"{net.name} ({net.variant})" if len(net.variants) > 1 else net.name
    classes = f"{resolution['net.classes']} classes" + (
        " and background" if net.task.name == "detection" else ""
    )
    if net.published and report.new_layers:
        few = report.new_layers[:_SHOWN]
        more = f" and {len(report.new_layers) - _SHOWN} more" if len(report.new_layers) > _SHOWN else ""
        console.result(f"new layers, for which {net.published.model} has no weights: {', '.join(few)}{more}")
    console.result(
        f"{name}: input {resolution['net.channels']}x{height}x{width}, {classes},"
        f" {figures.params / 1e6:.3g} M parameters, {figures.macs / 1e9:.3g} G multiply-accumulates\n"
        f"wrote {report.out_dir}: {', '.join(path.name for path in report.paths)}\n"
        f"next: {train_words(resolution, net.task.train_solver)}"
    )


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value)
    return str(value)
