"""Writes the pages that come from tables: `python -m docs.generate`, or `--check` to compare only."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from caffeflow import errors, resources
from caffeflow.cli.main import COMMANDS, cli
from caffeflow.native.reference import patches_page
from caffeflow.render.recipe_page import recipes_page
from caffeflow.render.reference import nets_page, readme_with_macros
from caffeflow.report.layer_page import layers_page

DOCS = Path(__file__).resolve().parent
WIDTH = 100


def commands_page() -> str:
    """Returns the help of every command."""
    parts = ["# Commands\n", "What `caffeflow COMMAND --help` prints.\n"]
    # Settings such as the names of the help option come from the root, as they do for users.
    root = click.Context(cli, terminal_width=WIDTH, **cli.context_settings)
    for words, command in _commands():
        context = click.Context(command, parent=root, info_name=" ".join(words))
        parts += [f"## {' '.join(words)}\n", f"```\n{command.get_help(context)}\n```\n"]
    return "\n".join(parts)


def errors_page() -> str:
    """Returns the exit codes and what raises them."""
    table = (errors.__doc__ or "").partition("|")
    rows = [
        f"| `{error.__name__}` | {error.exit_code} | {(error.__doc__ or '').splitlines()[0]} |"
        for error in _errors(errors.CaffeflowError)
    ]
    return "\n".join(
        [
            "# Errors and exit codes\n",
            "Errors are one line on stderr: where and what, expected and found, what to do.\n",
            table[1] + table[2].rstrip(),
            "",
            "| error | exit code | raised for |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def _commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        if isinstance(command, click.Group):
            for verb, sub in command.commands.items():
                yield ("caffeflow", name, verb), sub
        elif command is not None:
            yield ("caffeflow", name), command


def _errors(base: type[errors.CaffeflowError]) -> Iterator[type[errors.CaffeflowError]]:
    for error in base.__subclasses__():
        if error.__module__ == errors.__name__:
            yield error
            yield from _errors(error)


def _readme() -> Path:
    return resources.templates_dir() / "README.md"


PAGES: dict[Path, Callable[[], str]] = {
    DOCS / "commands.md": commands_page,
    DOCS / "errors.md": errors_page,
    DOCS / "layers.md": layers_page,
    DOCS / "nets.md": nets_page,
    DOCS / "patches.md": patches_page,
    DOCS / "recipes.md": recipes_page,
    _readme(): lambda: readme_with_macros(_readme().read_text()),
}


def stale_pages() -> list[Path]:
    """Returns the pages that are not what their table says."""
    return [path for path, make in PAGES.items() if not path.exists() or path.read_text() != make()]


def main() -> int:
    """Writes the stale pages, or with `--check` only names them."""
    stale = stale_pages()
    for path in stale:
        print(path)
        if "--check" not in sys.argv:
            path.write_text(PAGES[path]())
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
