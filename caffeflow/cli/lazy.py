"""A Click group whose commands are imported when they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from caffeflow.errors import suggestion


class LazyGroup(click.Group):
    """A group that knows its commands by the names of their modules.

    Args:
        modules: Command name to module; the module's `command` is the Click object. Help lists the
            commands in this order.
    """

    def __init__(self, *args: Any, modules: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names in the order of the table."""
        del ctx
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports and returns a command, or None for an unknown name."""
        del ctx
        module = self._modules.get(cmd_name)
        if module is None:
            return None
        command: click.Command = import_module(module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command of a line; an unknown one is answered with the nearest name."""
        name = args[0] if args else ""
        if not ctx.resilient_parsing and name not in self._modules and not name.startswith("-"):
            ctx.fail(f"no such command '{name}'{suggestion(name, self._modules)}")
        return super().resolve_command(ctx, args)
