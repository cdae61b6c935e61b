"""What preflight looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from caffeflow.proto.caffe_pb2 import LayerParameter, SolverParameter
from caffeflow.proto.net import NetRole


@dataclass(frozen=True, kw_only=True)
class Flight:
    """What is to start.

    Attributes:
        roles: The train net, if there is one, and the test nets.
        engine: What will run them.
        caffe: The program, where engine is caffe and it is known.
        solver: What will train or test them in passes; None: each record is tested once.
    """

    roles: Sequence[NetRole]
    engine: Literal["torch", "caffe"] = "torch"
    caffe: Path | None = None
    solver: SolverParameter | None = None

    @property
    def tests(self) -> list[NetRole]:
        """The nets that are tested."""
        return [role for role in self.roles if role.label.startswith("test net")]

    def layers(self, *types: str) -> Iterator[tuple[NetRole, LayerParameter]]:
        """Yields the layers of some types with their nets."""
        for role in self.roles:
            for layer in role.net.layer:
                if layer.type in types:
                    yield role, layer


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that does not fit.

    Attributes:
        where: File, line and layer.
        what: Expected and found, and what to do.
        is_error: It gives wrong numbers, or stops the engine that is to run, or lets it hang.
        is_of_data: It is about data rather than nets.
    """

    where: str
    what: str
    is_error: bool = True
    is_of_data: bool = False

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def place_of(role: NetRole, layer: LayerParameter) -> str:
    """Returns where a layer stands, for messages."""
    line = role.net_file.lines.get(layer.name)
    path = f"{role.net_file.path}:{line}" if line else str(role.net_file.path)
    return f"{path}: layer '{layer.name}'"


def exists(path: str) -> bool:
    """Whether a file that a net names is there."""
    return Path(path).exists()
