"""Training: from a solver file to a run folder with snapshots, a log and curves.

The one rule to know: solver, nets, data, labels and weights are read and checked first, and only then is
the run folder made. So what is wrong is said before anything is written.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
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
from caffeflow.engine.snapshot import SnapshotFiles, check_prefix, find_newest
from caffeflow.engine.solver import NonFiniteLossError
from caffeflow.engine.tensorboard import find_writer
from caffeflow.errors import CaffeflowError, CheckError, NetError
from caffeflow.evaluate.detection import find_tally
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.net import NetRole, test_nets_of, train_net_of
from caffeflow.proto.text import format_message, read_solver
from caffeflow.workflows.detection_names import class_names_in
from caffeflow.workflows.preflight import preflight
from caffeflow.workflows.preflight_findings import Flight
from caffeflow.workflows.run_folder import MetricsTable, RunFolder
from caffeflow.workflows.train_beginning import Beginning, find_unfinished_run
from caffeflow.workflows.train_labels import check_labels, sources_of
from caffeflow.workflows.train_recipe import with_recipe
from caffeflow.workflows.train_record import Screen, TrainRecord, columns_of, draw
from caffeflow.workflows.train_settings import TrainReport, TrainSettings


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
            folder = opened.enter_context(RunFolder(find_unfinished_run(settings)))
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
        self._beginning: Final = Beginning(
            settings,
            self._nets.parameters,
            self._nets.train.net_file.path,
            note=screen.note,
            on_line=self._lines,
        )

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
            self._beginning.load(session)
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
                "weights": self._beginning.copies,
                "torch": session.torch_version,
                "device": describe_device(session.solver.net.device),
            }
        )
        return folder

    def _train(self, session: Session, folder: RunFolder, prefix: str) -> TrainReport:
        check_prefix(prefix)
        if self._settings.resume:
            self._beginning.go_on(session, folder, prefix)
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
