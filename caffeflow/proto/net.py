"""Which layers a net has in a given state, and which nets a solver trains and tests.

The rules are Caffe's (`net.cpp` FilterNet, `solver.cpp` InitTrainNet and InitTestNets).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from caffeflow.errors import NetError
from caffeflow.proto.caffe_pb2 import (
    TEST,
    TRAIN,
    LayerParameter,
    NetParameter,
    NetState,
    NetStateRule,
    SolverParameter,
)
from caffeflow.proto.text import NetFile, located, read_net

Phase = Literal["TRAIN", "TEST"]

_TRAIN_FIELDS: Final = ("net", "net_param", "train_net", "train_net_param")


@dataclass(frozen=True)
class NetRole:
    """A net as a solver uses it.

    Attributes:
        net_file: The file (or the solver, for a net written inside it) that the net comes from.
        net: The net's layers in `state`.
        state: Phase, level and stages.
        label: What the log calls it, such as `train net` or `test net #0`.
        field: The solver's field that it is from.
    """

    net_file: NetFile
    net: NetParameter
    state: NetState
    label: str
    field: str = "net"


def net_state(phase: Phase, *, level: int = 0, stages: Iterable[str] = ()) -> NetState:
    """Returns the state that include and exclude rules are matched against."""
    return NetState(phase=TRAIN if phase == "TRAIN" else TEST, level=level, stage=list(stages))


def filter_net(net: NetParameter, state: NetState) -> NetParameter:
    """Returns a copy of the net with the layers that belong to `state`.

    Raises:
        NetError: A layer has both include and exclude rules.
    """
    kept = NetParameter()
    kept.CopyFrom(net)
    kept.ClearField("layer")
    kept.state.CopyFrom(state)
    kept.layer.extend(layer for layer in net.layer if _is_included(layer, state))
    return kept


def filter_remarks(net: NetParameter, state: NetState) -> Iterator[tuple[str, str]]:
    """Yields what Caffe logs while it filters a net, rule after rule, and where in its source."""
    for layer in net.layer:
        for rule in layer.include or layer.exclude:
            found = _unmet(rule, state)
            if found is None:
                break
            source, text = found
            yield source, f"{text} specified by a rule in layer {layer.name}"


def train_net_of(
    solver: SolverParameter, *, solver_path: Path, level: int = 0, stages: Iterable[str] = ()
) -> NetRole:
    """Returns the net that the solver trains.

    Args:
        solver: The solver.
        solver_path: Its file, for messages and for nets written inside it.
        level: The command line's level.
        stages: The command line's stages, added to those of net and solver.

    Raises:
        NetError: None or several of net, net_param, train_net, train_net_param are given, or the
            net cannot be read.
    """
    given = [field for field in _TRAIN_FIELDS if solver.HasField(field)]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise NetError(
            f"a solver names its net by exactly one of {', '.join(_TRAIN_FIELDS)}; found {found}",
            where=str(solver_path),
        )
    net_file = _net_of(solver, given[0], solver_path)
    state = NetState(phase=TRAIN)
    state.MergeFrom(net_file.net.state)
    state.MergeFrom(solver.train_state)
    state.MergeFrom(NetState(level=level, stage=list(stages)))
    return _role(net_file, state, "train net", given[0])


def test_nets_of(solver: SolverParameter, *, solver_path: Path) -> list[NetRole]:
    """Returns the nets that the solver tests, in Caffe's order.

    Raises:
        NetError: Numbers of test nets, test_iter and test_state do not fit, or a net cannot be read.
    """
    files = list(_test_files(solver, solver_path))
    if len(solver.test_state) not in (0, len(files)):
        raise NetError(
            f"{len(solver.test_state)} test_state for {len(files)} test nets; expected none or one for each",
            where=str(solver_path),
        )
    if files and solver.test_interval <= 0:
        raise NetError("has a test net but no test_interval; expected a number > 0", where=str(solver_path))
    roles = []
    for index, (field, net_file) in enumerate(files):
        state = NetState(phase=TEST)
        state.MergeFrom(net_file.net.state)
        if solver.test_state:
            state.MergeFrom(solver.test_state[index])
        roles.append(_role(net_file, state, f"test net #{index}", field))
    return roles


test_nets_of.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever its name says


def _test_files(solver: SolverParameter, solver_path: Path) -> Iterator[tuple[str, NetFile]]:
    """Yields the solver's field that names each test net, and the net."""
    own = len(solver.test_net_param) + len(solver.test_net)
    shared = [field for field in ("net", "net_param") if solver.HasField(field)]
    missing = len(solver.test_iter) - own
    if missing < 0 or (missing > 0 and not shared):
        raise NetError(
            f"{len(solver.test_iter)} test_iter for {own} test nets; expected one for each",
            where=str(solver_path),
        )
    for net in solver.test_net_param:
        yield "test_net_param", _inline(net, solver_path)
    for path in solver.test_net:
        yield "test_net", _read(path, solver_path)
    for _ in range(missing):
        yield shared[0], _net_of(solver, shared[0], solver_path)


def _role(net_file: NetFile, state: NetState, label: str, field: str) -> NetRole:
    with located(net_file):
        net = filter_net(net_file.net, state)
        return NetRole(net_file=net_file, net=net, state=state, label=label, field=field)


def _net_of(solver: SolverParameter, field: str, solver_path: Path) -> NetFile:
    value = getattr(solver, field)
    return _inline(value, solver_path) if field.endswith("_param") else _read(value, solver_path)


def _inline(net: NetParameter, solver_path: Path) -> NetFile:
    # Caffe: nets written inside a solver are not upgraded (solver.cpp reads only files so).
    return NetFile(net=net, path=solver_path, lines={})


def _read(name: str, solver_path: Path) -> NetFile:
    """Reads a net by a path that, as in Caffe, is relative to the working directory."""
    path = Path(name)
    if not path.exists() and not path.is_absolute() and (solver_path.parent / path).exists():
        raise NetError(
            f"the solver names the net '{name}', relative to the working directory, where it is not;"
            f" it lies beside the solver: run in '{solver_path.parent}', or write an absolute path",
            where=str(solver_path),
        )
    return read_net(path)


def _is_included(layer: LayerParameter, state: NetState) -> bool:
    if layer.include and layer.exclude:
        raise NetError("has both include and exclude rules; expected one kind", layer=layer.name)
    if layer.include:
        return any(_is_met(rule, state) for rule in layer.include)
    return not any(_is_met(rule, state) for rule in layer.exclude)


def _is_met(rule: NetStateRule, state: NetState) -> bool:
    return _unmet(rule, state) is None


def _unmet(rule: NetStateRule, state: NetState) -> tuple[str, str] | None:
    """Returns what Caffe logs of the first part of a rule that does not hold, and where in its source."""
    level = f"The NetState level ({state.level}) is above the"
    if rule.HasField("phase") and rule.phase != state.phase:
        return "net.cpp:296", f"The NetState phase ({state.phase}) differed from the phase ({rule.phase})"
    if rule.HasField("min_level") and state.level < rule.min_level:
        return "net.cpp:306", f"{level} min_level ({rule.min_level})"
    if rule.HasField("max_level") and state.level > rule.max_level:
        return "net.cpp:316", f"{level} max_level ({rule.max_level})"
    stages = set(state.stage)
    for stage in rule.stage:
        if stage not in stages:
            return "net.cpp:332", f"The NetState did not contain stage '{stage}'"
    for stage in rule.not_stage:
        if stage in stages:
            return "net.cpp:347", f"The NetState contained a not_stage '{stage}'"
    return None
