"""Snapshots: Caffe's two files, and a third that lets a run go on as if it had never stopped.

`<prefix>_iter_N.caffemodel` and `.solverstate` are Caffe's, with `.h5` behind them where the solver's
snapshot_format is HDF5. `.resume.json` has what Caffe forgets: the feeds' positions, random states, the
smoothed loss. The one rule to know: the solverstate is written last, and removed first when a snapshot
is written over, so one that exists has its companions. A snapshot without it is no snapshot, whatever
moment the process was killed at.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from caffeflow.engine.net import Net
from caffeflow.engine.policies import PolicyState
from caffeflow.engine.snapshot_formats import read_state, read_weights, write_state, write_weights
from caffeflow.engine.solver import Solver
from caffeflow.errors import DataError, WeightsError
from caffeflow.files import write_text
from caffeflow.proto.binary import SolverStateArrays

_FORMAT: Final = 1
_SIDE_KEYS: Final = frozenset({"format", "policy", "smoothed", "random", "positions"})
_STATE_NAME: Final = re.compile(r"(.*)_iter_(\d+)\.solverstate(\.h5)?")

Positions = Mapping[str, Any]
"""Whatever the owner of the feeds wants to find again, as plain values."""


@dataclass(frozen=True)
class SnapshotFiles:
    """The names of a snapshot's files.

    Attributes:
        prefix: What all names begin with, as the solver writes it.
        iteration: Updates done.
        is_hdf5: Whether they are HDF5 files.
    """

    prefix: str
    iteration: int
    is_hdf5: bool = False

    @property
    def caffemodel(self) -> str:
        """The weights; also the name that the solverstate keeps."""
        return self._name("caffemodel")

    @property
    def solverstate(self) -> str:
        """The history."""
        return self._name("solverstate")

    @property
    def resume(self) -> str:
        """What Caffe does not keep."""
        return self._name("resume") + ".json"

    def _name(self, kind: str) -> str:
        return f"{self.prefix}_iter_{self.iteration}.{kind}{'.h5' if self.is_hdf5 else ''}"


def check_prefix(prefix: str) -> None:
    """Makes sure before the run that its snapshots can be written; makes their folder.

    Raises:
        DataError: The folder cannot be written.
    """
    probe = Path(f"{prefix}_iter_0.tempfile")
    try:
        probe.parent.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise DataError(f"cannot write to snapshot_prefix '{prefix}': {error.strerror}") from error


def write_snapshot(
    prefix: str, solver: Solver, *, positions: Positions | None, hdf5: bool = False
) -> SnapshotFiles:
    """Writes a snapshot of the state between two iterations.

    Args:
        prefix: What the names begin with.
        solver: The solver.
        positions: Kept for `resume_from`; None: Caffe's two files only.
        hdf5: Whether the two are HDF5 files.

    Raises:
        DataError: The disk is full, or the folder not writable.
    """
    files = SnapshotFiles(prefix, solver.iteration, is_hdf5=hdf5)
    Path(files.solverstate).unlink(missing_ok=True)
    write_weights(files.caffemodel, solver.net, hdf5=hdf5)
    if positions is None:
        Path(files.resume).unlink(missing_ok=True)  # an earlier run's, which is not of these weights
    else:
        write_text(Path(files.resume), json.dumps(_side_state(solver, positions)))
    policy = solver.rate.state
    state = SolverStateArrays(
        iteration=solver.iteration,
        learned_net=files.caffemodel,
        current_step=policy.step,
        history=tuple(solver.update.history()),
        minimum_loss=policy.minimum_loss if solver.rate.policy == "plateau" else None,
        last_event=policy.last_event,
    )
    write_state(files.solverstate, state, hdf5=hdf5)
    return files


def restore_snapshot(path: str, solver: Solver) -> None:
    """Goes on from a solverstate as Caffe does: weights, history, iteration and step, nothing else.

    Raises:
        WeightsError: The snapshot is incomplete or belongs to another net or solver.
    """
    state = read_state(path)
    if state.learned_net:
        solver.net.load(read_weights(_find_weights(path, state.learned_net), solver.net))
    solver.iteration = state.iteration
    policy = solver.rate.state
    policy.step = state.current_step
    if state.minimum_loss is not None:
        policy.minimum_loss, policy.last_event = state.minimum_loss, state.last_event
    solver.update.load_history(state.history)


def resume_from(files: SnapshotFiles, solver: Solver) -> Positions:
    """Goes on from a snapshot as if the run had never stopped, and returns the positions kept in it.

    Raises:
        WeightsError: The snapshot is incomplete, damaged, or belongs to another net or solver.
    """
    side = _read_side(files.resume)
    state = read_state(files.solverstate)
    solver.net.load(read_weights(files.caffemodel, solver.net))
    solver.update.load_history(state.history)
    solver.iteration = state.iteration
    solver.rate.state = PolicyState(**side["policy"])
    solver.smoothed.restore(side["smoothed"])
    _restore_random(side["random"], solver.net)
    positions: Positions = side["positions"]
    return positions


def find_newest(prefix: str, *, run: str) -> SnapshotFiles | None:
    """Returns the newest complete snapshot that a run has written, or None.

    Args:
        prefix: What the names begin with; other runs may have written there too.
        run: The run, as `positions["run"]` of its snapshots names it.
    """
    for files in reversed(complete_snapshots(prefix)):
        if _read_side(files.resume)["positions"].get("run") == run:
            return files
    return None


def complete_snapshots(prefix: str) -> list[SnapshotFiles]:
    """Returns the snapshots with all their files, the oldest first."""
    folder, stem = Path(prefix).parent, Path(prefix).name
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _STATE_NAME.fullmatch(path.name)
        if match and match[1] == stem:
            files = SnapshotFiles(prefix, int(match[2]), is_hdf5=match[3] is not None)
            if Path(files.caffemodel).exists() and Path(files.resume).exists():
                found.append(files)
    # Of one iteration in both formats the last written one is the newest.
    return sorted(found, key=lambda files: (files.iteration, Path(files.solverstate).stat().st_mtime))


def _side_state(solver: Solver, positions: Positions) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "iteration": solver.iteration,
        "policy": asdict(solver.rate.state),
        "smoothed": solver.smoothed.state(),
        "random": _random_state(solver.net),
        "positions": positions,
    }


def _read_side(path: str) -> Any:
    try:
        side = json.loads(Path(path).read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(
            f"{path}: cannot be read ({error}); go on from the solverstate with --snapshot, as Caffe does"
        ) from error
    missing = _SIDE_KEYS - side.keys() if isinstance(side, dict) else _SIDE_KEYS
    if missing:
        raise WeightsError(
            f"{path}: lacks {', '.join(sorted(missing))}; go on from the solverstate with --snapshot, as"
            " Caffe does"
        )
    if side["format"] != _FORMAT:
        raise WeightsError(
            f"{path}: has format {side['format']}, this caffeflow reads {_FORMAT}; go on with --snapshot"
        )
    return side


def _random_state(net: Net) -> dict[str, Any]:
    state = {"torch": _encoded(torch.get_rng_state()), "net": _encoded(net.generator.get_state())}
    if net.device.type == "cuda":
        state["cuda"] = _encoded(torch.cuda.get_rng_state(net.device))
    return state


def _restore_random(state: Mapping[str, str], net: Net) -> None:
    torch.set_rng_state(_decoded(state["torch"]))
    if net.device.type == "cpu" or "cuda" in state:
        net.generator.set_state(_decoded(state["net"]))
    if net.device.type == "cuda" and "cuda" in state:
        torch.cuda.set_rng_state(_decoded(state["cuda"]), net.device)


def _encoded(state: torch.Tensor) -> str:
    return base64.b64encode(state.numpy().tobytes()).decode()


def _decoded(text: str) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), np.uint8).copy())


def _find_weights(solverstate: str, learned_net: str) -> str:
    # Caffe: the name is taken as written, so relative to the working directory (sgd_solver.cpp).
    if Path(learned_net).exists():
        return learned_net
    beside = Path(solverstate).parent / Path(learned_net).name
    hint = f"; one of that name lies beside the solverstate, at '{beside}'" if beside.exists() else ""
    raise WeightsError(
        f"{solverstate}: its weights '{learned_net}' are missing{hint}; the name counts from the folder in"
        " which the snapshot was made: run there, or move the file"
    )
