"""What `caffeflow deploy` works on: a run, a solver or a net; which weights, and how its records come in.

The one rule to know: a run is deployed as it ran, from the copies in its folder; a solver or a net as
the files are now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caffeflow.errors import NetError, UsageError
from caffeflow.proto.caffe_pb2 import LayerParameter, SolverParameter
from caffeflow.proto.net import NetRole, filter_net, net_state
from caffeflow.proto.text import located, read_net, read_solver
from caffeflow.workflows.bundle import DEPLOY_NAME, is_bundle
from caffeflow.workflows.deploy_net import find_record_layer, losses_of
from caffeflow.workflows.run_folder import RECORD_NAME, read_record
from caffeflow.workflows.test_data import RECORD_LAYERS, find_image_input
from caffeflow.workflows.test_subject import caffemodels_in, find_net, find_weights

_SOLVER_NAME: Final = "solver.prototxt"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A net to deploy.

    Attributes:
        role: The net in its TEST phase.
        records: The layer that brings records, of the TEST phase; None for a deploy net.
        train_losses: The losses of the TRAIN phase.
        deploy_file: A deploy net of the same net that is to be used; None: it is derived.
        weights: The caffemodel.
        sources: The files that all this is from.
    """

    role: NetRole
    records: LayerParameter | None
    train_losses: tuple[LayerParameter, ...]
    deploy_file: Path | None
    weights: Path
    sources: tuple[Path, ...]

    @property
    def path(self) -> Path:
        """The net's file."""
        return self.role.net_file.path


def find_subject(asked: str | None, weights: Path | None, note: Callable[[str], None]) -> Subject:
    """Returns what is to be deployed.

    Args:
        asked: A run folder, a solver, a net's prototxt, or a folder or name of a net; None: the only net.
        weights: A caffemodel; None: the run's last one, or the net's newest.
        note: Gets sentences on what was decided.

    Raises:
        UsageError: There is no such net, or it is a bundle already.
        NetError: The net cannot be read, or a solver's net is not where it says.
        WeightsError: There are no weights.
    """
    path = Path(asked) if asked is not None else None
    if path is not None and is_bundle(path):
        raise UsageError(f"{path}: is a bundle already; deploy the run or the net that it was made of")
    if path is not None and (path / RECORD_NAME).is_file():
        return _of_run(path, weights, note)
    solver = _find_solver(path)
    net_path = find_net(asked) if path is None or solver is None else _net_of(solver, path)
    sources = (net_path,) if path is None or solver is None else (path, net_path)
    return _subject(net_path, weights or find_weights(net_path), note, beside=net_path, sources=sources)


def _of_run(run: Path, weights: Path | None, note: Callable[[str], None]) -> Subject:
    record = read_record(run)
    solver_path = run / _SOLVER_NAME
    named = _net_name(read_solver(solver_path), solver_path)
    copy, original = run / named.name, Path(record["solver_path"]).parent / named.name
    net_path = copy if copy.is_file() else _existing(named, solver_path)
    found = weights or _weights_of(run, record.get("snapshot"), original)
    return _subject(
        net_path, found, note, beside=original, sources=(run / RECORD_NAME, solver_path, net_path)
    )


def _weights_of(run: Path, snapshot: str | None, original: Path) -> Path:
    """Returns the last caffemodel of a run, else the newest of its net."""
    if snapshot is not None:
        state = Path(snapshot)
        name = state.name.replace(".solverstate", ".caffemodel")  # an HDF5 snapshot has .h5 behind
        for path in (state.with_name(name), run / "snapshots" / name):
            if path.is_file():
                return path
    inside = caffemodels_in(run / "snapshots")
    if inside:
        return max(inside, key=lambda path: (path.stat().st_mtime_ns, path.name))
    return find_weights(original)


def _subject(
    net_path: Path, weights: Path, note: Callable[[str], None], *, beside: Path, sources: tuple[Path, ...]
) -> Subject:
    net_file = read_net(net_path)
    state = net_state("TEST")
    with located(net_file):
        net = filter_net(net_file.net, state)
        records = find_record_layer(net)
        if records is None and find_image_input(net) is None:
            raise NetError("has no data layer in its TEST phase, nor one Input of images; nothing to deploy")
        if records is not None and records.type not in RECORD_LAYERS:
            raise NetError(
                f"is of type {records.type}; deploy proves on picture files what it makes, so it takes a net"
                f" with {', '.join(RECORD_LAYERS)} or an Input: give the deploy file",
                layer=records.name,
            )
        train = filter_net(net_file.net, net_state("TRAIN"))
        role = NetRole(net_file=net_file, net=net, state=state, label="test net")
    deploy_file = None
    if records is not None and beside.with_name(DEPLOY_NAME).is_file():
        deploy_file = beside.with_name(DEPLOY_NAME)
        note(f"the deploy net is {deploy_file}; it is checked against {net_path}")
    return Subject(
        role=role,
        records=records,
        train_losses=tuple(losses_of(train)) if records is not None else (),
        deploy_file=deploy_file,
        weights=weights,
        sources=(*sources, *((deploy_file,) if deploy_file is not None else ()), weights),
    )


def _find_solver(path: Path | None) -> SolverParameter | None:
    """Returns the solver that a file holds; None if it is something else."""
    if path is None or not path.is_file():
        return None
    try:
        solver = read_solver(path)
    except NetError:
        return None
    return solver if _named(solver) else None


def _net_of(solver: SolverParameter, path: Path) -> Path:
    return _existing(_net_name(solver, path), path)


def _named(solver: SolverParameter) -> str:
    return next(iter(solver.test_net), "") or solver.net or solver.train_net


def _net_name(solver: SolverParameter, path: Path) -> Path:
    name = _named(solver)
    if not name:
        raise NetError("names no net file; deploy the net's prototxt itself", where=str(path))
    return Path(name)


def _existing(named: Path, solver_path: Path) -> Path:
    """Returns the net of a solver, if it is where the solver says.

    Raises:
        NetError: It is not; perhaps it lies beside the solver.
    """
    if named.is_file():
        return named
    beside = solver_path.parent / named.name
    hint = "write its new place into the solver's 'net', or deploy the net's prototxt itself"
    if beside.is_file():
        hint = (
            f"one of that name lies beside the solver: caffeflow deploy {beside} --weights FILE --out BUNDLE"
        )
    raise NetError(
        f"the solver names the net '{named}', which is not there (a relative path starts from the working"
        f" directory, {Path.cwd()}); {hint}",
        where=str(solver_path),
    )
