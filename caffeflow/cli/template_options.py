"""Options that set variables of nets and solvers, for the commands that write prototxts."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from caffeflow.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

# Option (as Click names its value) to variable.
_SOLVER: Final = {
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
_OPTIONS: Final = (
    click.option("--solver", metavar="TYPE", help="Update rule: SGD, Nesterov, Adam, …."),
    click.option("--base-lr", metavar="RATE", help="Learning rate to start from."),
    click.option(
        "--lr-policy",
        metavar="NAME",
        help="How the rate changes: fixed, step, poly, …; for a cosine see train --lr-policy.",
    ),
    click.option("--momentum", metavar="M", help="Momentum."),
    click.option("--weight-decay", metavar="D", help="Weight decay."),
    click.option("--max-iter", metavar="N", help="Iterations; the recipe's steps move along."),
    click.option("--epochs", metavar="N", help="Passes over the training images, in place of --max-iter."),
    click.option("--test-interval", metavar="N", help="Iterations between tests."),
    click.option("--display", metavar="N", help="Iterations between log lines."),
    click.option("--snapshot", metavar="N", help="Iterations between snapshots."),
    click.option("--gpu/--cpu", "gpu", default=None, help="solver_mode [default: by this machine]."),
)


def solver_options(function: F) -> F:
    """Adds the options of the solver: `gpu` is true or false, all others are passed as text."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def assigned(
    settings: Mapping[str, str | None],
    assignments: tuple[str, ...],
    *,
    variables: Mapping[str, str],
    gpu: bool | None,
) -> dict[str, str]:
    """Returns variable name to text, from options and from `--set`.

    Args:
        settings: Option to text; None where it was not given.
        assignments: What `--set` was given.
        variables: Option to variable, for those beside the solver's.
        gpu: What `--gpu` or `--cpu` says.

    Raises:
        UsageError: Something is given twice, or `--set` has no value.
    """
    names = {**variables, **_SOLVER}
    mode = None if gpu is None else ("GPU" if gpu else "CPU")
    merged = {names[name]: text for name, text in {**settings, "mode": mode}.items() if text is not None}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set '{assignment}': expected NAME=VALUE, for example --set net.classes=10")
        if name.strip() in merged:
            raise UsageError(f"'{name.strip()}' is given twice; give it once")
        merged[name.strip()] = text.strip()
    return merged


def command_line(context: click.Context, *, without: Collection[str]) -> str:
    """Returns the command as it was given, but for the words that leave the files as they are."""
    words = ["caffeflow", str(context.command.name)]
    for param in context.command.params:
        name = param.name or ""
        is_given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if not is_given or name in without:
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
