"""What a training begins from: fillers, weights, a snapshot, or the place where its run was stopped.

The one rule to know: a snapshot brings its weights with it, and so does a run that goes on; weights that
are given, or that the solver names, are for a run that begins at iteration 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from caffeflow.engine import lines
from caffeflow.engine.lines import LogLine
from caffeflow.engine.session import Session
from caffeflow.engine.snapshot import find_newest, restore_snapshot, resume_from
from caffeflow.engine.snapshot_formats import shared_blobs
from caffeflow.errors import UsageError, WeightsError
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.matching import CopyPlan
from caffeflow.workflows.run_folder import RUNS, RunFolder, read_record, runs_of
from caffeflow.workflows.train_settings import TrainSettings
from caffeflow.workflows.weights_into_net import check_beginning, load_into


class Beginning:
    """How one training begins.

    Args:
        settings: What is asked for.
        parameters: The solver.
        net: The train net's file, for messages.
        note: Gets sentences for the user.
        on_line: Gets lines of the log.

    Attributes:
        copies: For each file of weights the layers that were copied, are new, or were skipped.
    """

    def __init__(
        self,
        settings: TrainSettings,
        parameters: SolverParameter,
        net: Path,
        *,
        note: Callable[[str], None],
        on_line: Callable[[LogLine], None],
    ) -> None:
        self._settings: Final = settings
        self._parameters: Final = parameters
        self._net: Final = str(net)
        self._note: Final = note
        self._on_line: Final = on_line
        self.copies: Final[dict[str, Any]] = {}

    def load(self, session: Session) -> None:
        """Loads what a new run begins with.

        Raises:
            WeightsError: Weights or a snapshot that do not fit.
        """
        if self._settings.snapshot:
            self._say_restored(self._settings.snapshot)
            restore_snapshot(self._settings.snapshot, session.solver)
            return
        shared = shared_blobs(session.solver.net)
        for path in self._settings.weights_for(self._parameters):
            plan = load_into(session.load, Path(path), net=self._net, shared=shared)
            check_beginning(plan, Path(path), net=self._net)
            self._on_line(lines.finetuning(path))
            for name in plan.skipped:
                self._on_line(LogLine("net.cpp:750", f"Ignoring source layer {name}"))
            self._note(_describe_copy(path, plan))
            self.copies[path] = {
                "copied": [name for name, _ in plan.copied],
                "new": list(plan.new),
                "skipped": list(plan.skipped),
            }

    def go_on(self, session: Session, folder: RunFolder, prefix: str) -> None:
        """Restores the newest snapshot of a run; without one, the run starts over as it began.

        Raises:
            WeightsError: The snapshot that the run's record names is gone, or does not fit.
        """
        folder.go_on()
        files = find_newest(prefix, run=folder.record["id"])
        if files is None and folder.record.get("snapshot"):
            raise WeightsError(
                f"{folder.path}: its snapshot '{folder.record['snapshot']}' is gone, and there is no other at"
                f" '{prefix}'; put it back with the files beside it, or start anew without --resume"
            )
        if files is None:
            self._note(f"{folder.path}: has no complete snapshot yet; starting from iteration 0")
            self.load(session)
            return
        self._say_restored(files.solverstate)
        for remark in session.restore(resume_from(files, session.solver)):
            self._note(remark)
        self._note(f"{folder.path}: going on at iteration {files.iteration}")

    def _say_restored(self, snapshot: str) -> None:
        for line in (lines.resuming(snapshot), *lines.restored(snapshot)):
            self._on_line(line)


def find_unfinished_run(settings: TrainSettings) -> Path:
    """Returns the folder of the run to resume.

    Raises:
        UsageError: There is none, or it is another solver's.
    """
    if settings.out_dir is not None:
        record = read_record(settings.out_dir)
        if record["solver_path"] != str(settings.solver.resolve()):
            raise UsageError(
                f"{settings.out_dir}: is a run of '{record['solver']}', not of '{settings.solver}'"
            )
        if record["state"] == "finished":
            raise UsageError(f"{settings.out_dir}: has done all its {record['iterations']} iterations")
        return settings.out_dir
    finished = None
    for folder, record in runs_of(settings.solver):
        if record["state"] != "finished":
            return folder
        finished = finished or (folder, record["iterations"])
    if finished is not None:
        raise UsageError(
            f"there is no unfinished run of '{settings.solver}' under {RUNS}/; the newest, {finished[0]}, has"
            f" done all its {finished[1]} iterations. To train on, raise max_iter and give --snapshot FILE"
        )
    raise UsageError(
        f"there is no run of '{settings.solver}' under {RUNS}/ to go on with; start one without --resume"
    )


def _describe_copy(path: str, plan: CopyPlan) -> str:
    parts = [f"copied {len(plan.copied)} layers"]
    if plan.new:
        parts.append(f"new, from their fillers: {_listed(plan.new)}")
    if plan.skipped:
        parts.append(f"not in this net, skipped: {_listed(plan.skipped)}")
    return f"weights {path}: {'; '.join(parts)}"


def _listed(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
