"""Training: from a solver file to a run folder with snapshots, a log and curves.

The one rule to know: solver, nets, data, labels and weights are read and checked first, and only then is
the run folder made. So what is wrong is said before anything is written.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from caffeflow.engine import lines
from caffeflow.engine.device import choose_device, describe_device
from caffeflow.engine.diagnosis import first_non_finite
from caffeflow.engine.lines import LogLine
from caffeflow.engine.loop import Outcome, Run
from caffeflow.engine.session import Session, SessionSettings, check_solver, ignored_fields
from caffeflow.engine.signals import listening
from caffeflow.engine.snapshot import SnapshotFiles, check_prefix, find_newest, restore_snapshot, resume_from
from caffeflow.engine.snapshot_formats import shared_blobs
from caffeflow.engine.solver import NonFiniteLossError
from caffeflow.engine.tensorboard import find_writer
from caffeflow.errors import CaffeflowError, CheckError, NetError, UsageError, WeightsError
from caffeflow.evaluate.detection import find_tally
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.matching import CopyPlan
from caffeflow.proto.net import NetRole, test_nets_of, train_net_of
from caffeflow.proto.text import format_message, read_solver
from caffeflow.workflows.detection_names import class_names_in
from caffeflow.workflows.preflight import preflight
from caffeflow.workflows.preflight_findings import Flight
from caffeflow.workflows.run_folder import RUNS, MetricsTable, RunFolder, read_record, runs_of
from caffeflow.workflows.train_labels import check_labels, sources_of
from caffeflow.workflows.train_recipe import with_recipe
from caffeflow.workflows.train_record import Screen, TrainRecord, columns_of, draw
from caffeflow.workflows.train_settings import TrainReport, TrainSettings
from caffeflow.workflows.weights_into_net import check_beginning, load_into


def train(settings: TrainSettings, screen: Screen) -> TrainReport:
    """Trains, and returns when max_iter is reached or a stop was asked for.

    Raises:
        UsageError: The options contradict each other.
        NetError: Solver or nets are such that Caffe would refuse them.
        DataError: Data, labels or the disk.
        WeightsError: Weights or a snapshot that do not fit.
        CheckError: The loss is no number any more.
    """
    settings.check()
    with ExitStack() as opened:
        folder = None
        if settings.resume:
            folder = opened.enter_context(RunFolder(_unfinished_run(settings)))
            folder.read()
            settings = settings.completed_by(folder.record)
        else:
            settings = with_recipe(settings, screen)
        if settings.augmentation is not None:
            settings = replace(settings, augmentation=settings.augmentation.settled())
        settings.check_engine()
        if settings.engine == "caffe":
            from caffeflow.workflows.train_native import train_native

            return train_native(settings, folder, screen)
        return _Training(settings, folder, screen, opened).run()


@contextmanager
def _located(path: Path) -> Iterator[None]:
    """Adds the solver's path to errors about its fields."""
    try:
        yield
    except NetError as error:
        error.where = error.where or str(path)
        raise


class _Lines:
    """Log lines, kept until there is a log to write them to."""

    def __init__(self) -> None:
        self._kept: list[LogLine] = []
        self._record: TrainRecord | None = None

    def __call__(self, line: LogLine) -> None:
        if self._record is None:
            self._kept.append(line)
        else:
            self._record.line(line)

    def go_to(self, record: TrainRecord) -> None:
        """Hands over what was kept, and all that follows."""
        self._record = record
        for line in self._kept:
            record.line(line)
        self._kept.clear()


@dataclass(frozen=True, kw_only=True)
class _Nets:
    """A solver and its nets as read."""

    parameters: SolverParameter
    train: NetRole
    tests: list[NetRole]


class _Training:
    """One training with the embedded engine.

    Args:
        settings: What is asked for.
        folder: The run folder of a run that goes on; None: a new one is made.
        screen: The user's.
        opened: Closes everything at the end.
    """

    def __init__(
        self, settings: TrainSettings, folder: RunFolder | None, screen: Screen, opened: ExitStack
    ) -> None:
        self._settings: Final = settings
        self._folder = folder
        self._screen: Final = screen
        self._opened: Final = opened
        self._lines: Final = _Lines()
        self._nets: Final = _read_nets(settings)
        self._seed: Final = _seed(settings, self._nets.parameters)
        self._copies: dict[str, Any] = {}

    def run(self) -> TrainReport:
        """Checks, makes the run folder, trains, and writes the last word."""
        nets = self._nets
        preflight(Flight(roles=[nets.train, *nets.tests], solver=nets.parameters), self._screen.note)
        session = self._opened.enter_context(self._open_session())
        prefix = _given_prefix(self._nets.parameters, self._settings.solver)
        if prefix is not None:
            check_prefix(prefix)
        check_labels(session.nets)
        if self._folder is None:
            self._begin_from(session)
        folder = self._folder or self._new_folder(session)
        try:
            return self._train(session, folder, prefix or str(folder.path / "snapshots" / folder.name))
        except CaffeflowError as error:
            folder.end("failed", iterations=session.solver.iteration, error=str(error))
            raise

    def _open_session(self) -> Session:
        settings, parameters = self._settings, self._nets.parameters
        device = choose_device(
            settings.device or "auto",
            gpu=settings.gpu,
            prefers_cpu=parameters.solver_mode == SolverParameter.CPU,
            number=parameters.device_id,
        )
        for remark in ignored_fields(parameters, settings.schedule):
            self._screen.note(f"{settings.solver}: {remark}")
        use = "Use CPU." if device.type == "cpu" else f"Using GPUs {device.index}"
        self._lines(LogLine("caffe.cpp:197", use))
        text = format_message(parameters)
        self._lines(LogLine("solver.cpp:45", f"Initializing solver from parameters: \n{text}"))
        self._screen.note(f"{settings.solver}: on {describe_device(device)}")
        made = SessionSettings(
            device=device,
            precision=settings.precision or "fp32",
            seed=self._seed,
            on_line=self._lines,
            new_tally=find_tally(parameters),
            augmentation=settings.augmentation,
            schedule=settings.schedule,
            label_smoothing=settings.label_smoothing or 0.0,
        )
        with _located(settings.solver):
            return Session(parameters, self._nets.train, self._nets.tests, made)

    def _begin_from(self, session: Session) -> None:
        """Loads what a new run begins with."""
        if self._settings.snapshot:
            self._restoring(self._settings.snapshot)
            restore_snapshot(self._settings.snapshot, session.solver)
            return
        shared = shared_blobs(session.solver.net)
        for path in self._settings.weights_for(self._nets.parameters):
            net = str(self._nets.train.net_file.path)
            plan = load_into(session.load, Path(path), net=net, shared=shared)
            check_beginning(plan, Path(path), net=net)
            self._lines(lines.finetuning(path))
            for name in plan.skipped:
                self._lines(LogLine("net.cpp:750", f"Ignoring source layer {name}"))
            self._screen.note(_describe_copy(path, plan))
            self._copies[path] = {
                "copied": [name for name, _ in plan.copied],
                "new": list(plan.new),
                "skipped": list(plan.skipped),
            }

    def _new_folder(self, session: Session) -> RunFolder:
        settings, train = self._settings, self._nets.train
        name = settings.solver.resolve().parent.name or "run"
        folder = self._opened.enter_context(RunFolder.new(name, settings.out_dir))
        folder.begin(
            {
                "id": uuid4().hex,
                "command": list(settings.command),
                "net": session.solver.net.graph.name or train.net_file.path.stem,
                "solver": str(settings.solver),
                "solver_path": str(settings.solver.resolve()),
                "dataset": sources_of(train.net),
                "seed": self._seed,
                "engine": "torch",
                "settings": settings.as_record(),
                "weights": self._copies,
                "torch": session.torch_version,
                "device": describe_device(session.solver.net.device),
            }
        )
        return folder

    def _train(self, session: Session, folder: RunFolder, prefix: str) -> TrainReport:
        check_prefix(prefix)
        if self._settings.resume:
            self._go_on(session, folder, prefix)
        self._keep_copies(folder)
        record = self._opened.enter_context(self._open_record(session, folder))
        self._lines.go_to(record)
        record.line(lines.STARTING)

        run = folder.record["id"]
        last = partial(find_newest, prefix, run=run)
        try:
            outcome = self._solve(session, prefix, record, lambda: {"run": run, **session.positions()})
        except NonFiniteLossError as error:
            draw(folder.path, self._screen)
            raise CheckError(_explain(error, session, last())) from None
        draw(folder.path, self._screen)
        return _finish(folder, outcome, record, last())

    def _solve(
        self, session: Session, prefix: str, record: TrainRecord, positions: Callable[[], dict[str, Any]]
    ) -> Outcome:
        with listening() as requests:
            run = Run(
                self._nets.parameters,
                session.solver,
                next_feeds=session.next_feeds,
                tests=session.tests,
                snapshot_prefix=prefix,
                positions=positions,
                listener=record,
                requests=requests,
            )
            outcome = run.solve()
        if outcome.is_complete:
            record.line(lines.COMMAND_DONE)
        return outcome

    def _go_on(self, session: Session, folder: RunFolder, prefix: str) -> None:
        """Restores the newest snapshot of this run; without one, the run starts over as it began."""
        folder.go_on()
        files = find_newest(prefix, run=folder.record["id"])
        if files is None and folder.record.get("snapshot"):
            raise WeightsError(
                f"{folder.path}: its snapshot '{folder.record['snapshot']}' is gone, and there is no other at"
                f" '{prefix}'; put it back with the files beside it, or start anew without --resume"
            )
        if files is None:
            self._screen.note(f"{folder.path}: has no complete snapshot yet; starting from iteration 0")
            self._begin_from(session)
            return
        self._restoring(files.solverstate)
        for remark in session.restore(resume_from(files, session.solver)):
            self._screen.note(remark)
        self._screen.note(f"{folder.path}: going on at iteration {files.iteration}")

    def _restoring(self, snapshot: str) -> None:
        for line in (lines.resuming(snapshot), *lines.restored(snapshot)):
            self._lines(line)

    def _keep_copies(self, folder: RunFolder) -> None:
        folder.keep("solver.prototxt", format_message(self._nets.parameters))
        for role in (self._nets.train, *self._nets.tests):
            path = role.net_file.path
            if path.resolve() != self._settings.solver.resolve():
                name = path.name if path.name != "solver.prototxt" else "net.prototxt"
                folder.keep(name, path.read_text(encoding="utf-8-sig"))

    def _open_record(self, session: Session, folder: RunFolder) -> TrainRecord:
        iteration = session.solver.iteration if self._settings.resume else None
        columns = columns_of(session.nets, self._nets.parameters)
        table = MetricsTable(folder.path / "metrics.csv", columns, resume_at=iteration)
        events = find_writer(folder.path / "tensorboard", purge_step=iteration)
        if events is None:
            self._screen.note(
                "TensorBoard is not installed: no events are written; metrics.csv has all figures"
            )
        return TrainRecord(
            folder.path / "caffe.log",
            table=table,
            events=events,
            screen=self._screen,
            total=self._nets.parameters.max_iter,
            results=folder.record["results"],
            class_names=[class_names_in(role.net) for role in self._nets.tests],
            on_snapshot=lambda files, results: folder.update(
                iterations=files.iteration, snapshot=files.solverstate, results=dict(results)
            ),
        )


def _unfinished_run(settings: TrainSettings) -> Path:
    """Returns the folder of the run to resume."""
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


def _read_nets(settings: TrainSettings) -> _Nets:
    parameters = read_solver(settings.solver)
    if settings.iterations is not None:
        parameters.max_iter = settings.iterations
    with _located(settings.solver):
        check_solver(parameters, settings.schedule)
    return _Nets(
        parameters=parameters,
        train=train_net_of(
            parameters,
            solver_path=settings.solver,
            level=settings.level or 0,
            stages=settings.stages or (),
        ),
        tests=test_nets_of(parameters, solver_path=settings.solver),
    )


def _seed(settings: TrainSettings, parameters: SolverParameter) -> int:
    if settings.seed is not None:
        return settings.seed
    return int(parameters.random_seed) if parameters.random_seed >= 0 else secrets.randbelow(1 << 31)


def _given_prefix(parameters: SolverParameter, solver: Path) -> str | None:
    """Returns the solver's snapshot_prefix; a folder stands for the solver's name in it, as in Caffe."""
    prefix = parameters.snapshot_prefix
    if prefix and Path(prefix).is_dir():
        return str(Path(prefix) / solver.stem)
    return prefix or None


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


def _explain(error: NonFiniteLossError, session: Session, last: SnapshotFiles | None) -> str:
    first = first_non_finite(session.solver.net, error.batches)
    where = (
        f"the first bad numbers are in {first}" if first else "run again, the same batch gave finite numbers"
    )
    kept = f"the last snapshot is {last.solverstate}" if last else "no snapshot was written before"
    return (
        f"the loss is {error.loss:g} at iteration {error.iteration}: {where}; training stopped, {kept}. Try a"
        " smaller base_lr, or clip_gradients"
    )


def _finish(
    folder: RunFolder, outcome: Outcome, record: TrainRecord, last: SnapshotFiles | None
) -> TrainReport:
    state = "finished" if outcome.is_complete else "stopped"
    folder.end(state, iterations=outcome.iteration, results=record.results)
    return TrainReport(
        run_dir=folder.path,
        iterations=outcome.iteration,
        is_complete=outcome.is_complete,
        weights=Path(last.caffemodel) if last else None,
        results=record.results,
    )
