"""Options of the commands that look at a net: its phase, the shape of its records, its variables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import click

from caffeflow.cli import options
from caffeflow.errors import UsageError

if TYPE_CHECKING:
    from caffeflow.workflows.open_net import Ask

Phase = Literal["TRAIN", "TEST"]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class NetOptions:
    """The options as given."""

    phase: Phase
    record: str | None
    assignments: dict[str, str]

    def asks(self, nets: Iterable[str]) -> list[Ask]:
        """Returns what the options ask for, for each net named."""
        from caffeflow.workflows.open_net import Ask, shape_of_text

        record = shape_of_text(self.record) if self.record else None
        return [Ask(net=net, phase=self.phase, record=record, assignments=self.assignments) for net in nets]


def net_options(*, phase: Phase) -> Callable[[F], F]:
    """Adds `--phase`, `--record` and `--set`, passed together as `net`.

    Args:
        phase: The default phase.
    """
    phase_option = click.option(
        "--phase",
        type=click.Choice(["TRAIN", "TEST"]),
        default=phase,
        show_default=True,
        help="Which layers of the net are there.",
    )
    record_option = click.option(
        "--record", metavar="CxHxW", help="Shape of a data layer's records, if its source is not here."
    )

    def decorate(function: F) -> F:
        @wraps(function)
        def with_net(
            *,
            phase: Phase,
            record: str | None,
            assignments: tuple[str, ...],
            **others: Any,
        ) -> Any:
            net = NetOptions(phase=phase, record=record, assignments=split_assignments(assignments))
            return function(net=net, **others)

        return cast("F", phase_option(record_option(options.set_values(with_net))))

    return decorate


def split_assignments(assignments: Iterable[str]) -> dict[str, str]:
    """Returns what `--set NAME=VALUE` sets, by name.

    Raises:
        UsageError: There is no equals sign.
    """
    values = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set {assignment}: expected NAME=VALUE")
        values[name.strip()] = value.strip()
    return values
