"""`caffeflow render`: a net's prototxts, solver and scripts."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from caffeflow.cli import console, options
from caffeflow.errors import UsageError

if TYPE_CHECKING:
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
    "solver": "solver.type",
    "base_lr": "solver.base_lr",
    "lr_policy": "solver.lr_policy",
    "momentum": "solver.momentum",
    "weight_decay": "solver.weight_decay",
    "max_iter": "solver.max_iter",
    "epochs": "solver.epochs",
    "test_interval": "solver.test_interval",
    "display": "solver.display",
    "snapshot": "solver.snapshot",
    "mode": "solver.mode",
}

_SHOWN = 12  # new layers that are named


@click.command("render", epilog="Example: caffeflow render lenet --dry-run --classes 10 --max-iter 500")
@click.argument("net", required=False)
@click.option("--list", "list_nets", is_flag=True, help="List the nets, as does no NET at all.")
@click.option("--show", is_flag=True, help="Print the net's variables.")
@click.option("--variant", metavar="NAME", help="Variant of the net.")
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
@click.option("--pool", metavar="KIND", help="Rounding of resnet50's pooling: caffe, floor, slice.")
@click.option("--backend", metavar="KIND", help="Kind of data layer: lmdb or imagedata.")
@click.option("--batch-size", metavar="N", help="Training images in a batch.")
@click.option("--test-batch-size", metavar="N", help="Test images in a batch.")
@click.option("--accum", metavar="N", help="Batches whose gradients make one iteration (iter_size).")
@click.option("--augment", metavar="KIND", help="Of a detection net's training images: ssd or none.")
@click.option("--mean", metavar="MEAN", help="What is subtracted: file, values, none, or numbers B,G,R.")
@click.option("--scale", metavar="SCALE", help="Factor on the pixels; three (B,G,R) make a frozen layer.")
@click.option("--solver", metavar="TYPE", help="Update rule: SGD, Nesterov, Adam, ….")
@click.option("--base-lr", metavar="RATE", help="Learning rate to start from.")
@click.option("--lr-policy", metavar="NAME", help="How the rate changes: fixed, step, poly, ….")
@click.option("--momentum", metavar="M", help="Momentum.")
@click.option("--weight-decay", metavar="D", help="Weight decay.")
@click.option("--max-iter", metavar="N", help="Iterations; the recipe's steps move along.")
@click.option("--epochs", metavar="N", help="Passes over the training images, in place of --max-iter.")
@click.option("--test-interval", metavar="N", help="Iterations between tests.")
@click.option("--display", metavar="N", help="Iterations between log lines.")
@click.option("--snapshot", metavar="N", help="Iterations between snapshots.")
@click.option("--gpu/--cpu", "gpu", default=None, help="solver_mode [default: by this machine].")
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
        assignments=_merge(
            settings
            | {"mode": None if gpu is None else ("GPU" if gpu else "CPU")}
            | {"bn": None if bn is None else str(bn)},
            assignments,
        ),
        out_dir=out_dir,
        is_relative=relative,
        command=_command_line(context),
    )
    if show:
        _print_variables(request, as_json)
        return
    _print_report(workflow.render_net(request, is_dry_run=dry_run, force=force), dry_run, as_json)


def _command_line(context: click.Context) -> str:
    """Returns the command as it was given, without the words that leave the files as they are."""
    words = ["caffeflow", "render"]
    for param in context.command.params:
        name = param.name or ""
        is_given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if not is_given or name in ("force", "dry_run", "as_json", "show"):
            continue
        value = context.params[name]
        if isinstance(param, click.Argument):
            words.append(str(value))
        elif isinstance(value, bool):
            words.append(param.opts[0] if value else param.secondary_opts[0])
        else:
            for each in value if isinstance(value, tuple) else (value,):
                words += [param.opts[0], str(each)]
    return shlex.join(words)


def _merge(settings: dict[str, str | None], assignments: tuple[str, ...]) -> dict[str, str]:
    """Returns variable name to text, from options and from `--set`."""
    merged = {_VARIABLES[name]: text for name, text in settings.items() if text is not None}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set '{assignment}': expected NAME=VALUE, for example --set net.classes=10")
        if name.strip() in merged:
            raise UsageError(f"'{name.strip()}' is given twice; give it once")
        merged[name.strip()] = text.strip()
    return merged


def _print_nets(as_json: bool) -> None:
    from caffeflow.render.catalog import find_net, net_names

    nets = [find_net(name) for name in net_names()]
    if as_json:
        console.json([{"name": net.name, "title": net.title, "variants": list(net.variants)} for net in nets])
        return
    from rich.table import Table

    table = Table("net", "what", "variants", box=None)
    for net in nets:
        table.add_row(net.name, net.title, ", ".join(net.variants))
    console.result(table)


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
    resolution, net = report.resolution, report.resolution.net
    for note in resolution.notes:
        console.note(f"note: {note}")
    if as_json:
        files = report.rendered.texts if is_dry_run else [str(path) for path in report.paths]
        console.json(
            {
                "net": net.name,
                "variant": net.variant,
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
        f"next: caffeflow train --solver {report.out_dir / net.task.train_solver}"
    )


def _word(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(each) for each in value)
    return str(value)
