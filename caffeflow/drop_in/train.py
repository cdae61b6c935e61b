"""`caffe train`: a solver's training in the working folder, with the files that Caffe writes and no others.

The one rule to know: there is no run folder and no side file beside a snapshot, so what goes on from a
snapshot goes on by Caffe's rules: data from record 0.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from caffeflow.drop_in.devices import training_device
from caffeflow.drop_in.gflags import CommandLine
from caffeflow.drop_in.glog import FatalError, Log, require
from caffeflow.drop_in.loading import load_weights
from caffeflow.drop_in.nets import asked_stages
from caffeflow.drop_in.signals import obeying
from caffeflow.drop_in.telling import Telling
from caffeflow.engine import lines
from caffeflow.engine.signals import Requests
from caffeflow.errors import DataError, NetError
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.net import NetRole, test_nets_of, train_net_of
from caffeflow.proto.text import read_solver
from caffeflow.weights.listed import split_files

if TYPE_CHECKING:
    from caffeflow.engine.cuda_devices import Device
    from caffeflow.engine.net import Net
    from caffeflow.engine.session import Session
    from caffeflow.engine.solver import NonFiniteLossError


def train(line: CommandLine, log: Log) -> None:
    """Trains by the solver.

    Raises:
        CaffeflowError: Flags, solver, nets, data or weights that Caffe would abort of.
    """
    require(line, "solver", "Need a solver definition to train.", "caffe.cpp:167")
    if line.text("snapshot") and line.text("weights"):
        raise FatalError(
            "Check failed: !FLAGS_snapshot.size() || !FLAGS_weights.size() Give a snapshot to resume training"
            " or weights to finetune but not both.",
            "caffe.cpp:168",
        )
    path = Path(line.text("solver"))
    parameters = read_asked_solver(path, line, log)
    device = training_device(line, parameters, log)
    with obeying(line) as requests:
        _Training(path, parameters, line, log).run(device, requests)


def read_asked_solver(path: Path, line: CommandLine, log: Log) -> SolverParameter:
    """Returns the solver with what the flags say of its train net's state and its weights.

    Raises:
        NetError: It cannot be read.
    """
    parameters = read_solver(path)
    prefix = _snapshot_prefix(parameters, path)
    if prefix != parameters.snapshot_prefix:
        log.info("upgrade_proto.cpp:1108", f"snapshot_prefix was not specified and is set to {prefix}")
        parameters.snapshot_prefix = prefix
    parameters.train_state.level = line.number("level")
    parameters.train_state.stage.extend(asked_stages(line))
    if line.text("snapshot"):
        parameters.ClearField("weights")
    elif line.text("weights"):
        parameters.weights[:] = [line.text("weights")]
    return parameters


def _snapshot_prefix(parameters: SolverParameter, path: Path) -> str:
    """Returns what snapshots' names begin with: the solver's own name where the solver says none."""
    prefix = str(parameters.snapshot_prefix)
    if not prefix:
        return str(path.with_suffix(""))
    return str(Path(prefix) / path.stem) if Path(prefix).is_dir() else prefix


class _Training:
    """One training.

    Args:
        path: The solver's file.
        parameters: The solver.
        line: The command line.
        log: The log, which is also all that is told of the run.
    """

    def __init__(self, path: Path, parameters: SolverParameter, line: CommandLine, log: Log) -> None:
        self._path = path
        self._parameters = parameters
        self._line = line
        self._log = log

    def run(self, device: Device, requests: Requests) -> None:
        """Builds everything and trains."""
        from caffeflow.workflows.train_labels import check_labels

        parameters, log = self._parameters, self._log
        train_net = train_net_of(parameters, solver_path=self._path, level=parameters.train_state.level)
        tests = test_nets_of(parameters, solver_path=self._path)
        _check_snapshots(parameters)
        with self._open(device, train_net, tests) as session:
            check_labels(session.nets)
            self._begin(session)
            log.write(lines.STARTING)
            self._solve(session, requests)
        # Caffe: the command says so after an early stop, too (caffe.cpp train).
        log.write(lines.COMMAND_DONE)

    def _open(self, device: Device, train_net: NetRole, tests: list[NetRole]) -> Session:
        from caffeflow.engine.session import Session, SessionSettings, ignored_fields
        from caffeflow.engine.setup_lines import message_text
        from caffeflow.evaluate.detection import find_tally

        parameters, log = self._parameters, self._log
        log.info("solver.cpp:45", f"Initializing solver from parameters: \n{message_text(parameters)}")
        for remark in ignored_fields(parameters):
            log.warn(f"{self._path}: {remark}")
        seed = int(parameters.random_seed)
        settings = SessionSettings(
            device=device,
            seed=seed if seed >= 0 else secrets.randbelow(1 << 31),
            on_line=log.write,
            new_tally=find_tally(parameters),
            on_built=self._load,
        )
        try:
            return Session(parameters, train_net, tests, settings)
        except NetError as error:
            error.where = error.where or str(self._path)
            raise

    def _load(self, role: NetRole, net: Net) -> None:
        """Loads the weights that the training begins with, into each net as Caffe does."""
        for name in split_files(self._parameters.weights):
            self._log.write(lines.finetuning(name))
            load_weights(name, net, role, self._log)

    def _begin(self, session: Session) -> None:
        """Goes on from a snapshot, if one is given."""
        from caffeflow.engine.snapshot import restore_snapshot

        log = self._log
        log.info("solver.cpp:57", "Solver scaffolding done.")
        if snapshot := self._line.text("snapshot"):
            log.write(lines.resuming(snapshot))
            restore_snapshot(snapshot, session.solver)
            for said in lines.restored(snapshot):
                log.write(said)

    def _solve(self, session: Session, requests: Requests) -> None:
        from caffeflow.engine.loop import Run

        session.solver.on_non_finite = _NonFiniteWarning(session.solver.net, self._log)
        run = Run(
            self._parameters,
            session.solver,
            next_feeds=session.next_feeds,
            tests=session.tests,
            snapshot_prefix=self._parameters.snapshot_prefix,
            positions=lambda: None,
            listener=Telling(self._log),
            requests=requests,
            keeps_stopped=False,
        )
        run.solve()


class _NonFiniteWarning:
    """Says once where a loss that is no number comes from; Caffe goes on with it, and so does the training.

    Args:
        net: The train net.
        log: Gets the warning.
    """

    def __init__(self, net: Net, log: Log) -> None:
        self._net: Net | None = net
        self._log = log

    def __call__(self, error: NonFiniteLossError) -> None:
        """Looks for the first bad numbers, the first time."""
        from caffeflow.engine.diagnosis import first_non_finite

        if self._net is not None:
            first = first_non_finite(self._net, error.batches)
            where = f"; the first bad numbers are in {first}" if first else ""
            advice = "a smaller base_lr or clip_gradients may help"
            self._log.warn(f"{error}{where}; the training goes on with it, as Caffe's does; {advice}")
        self._net = None


def _check_snapshots(parameters: SolverParameter) -> None:
    """Makes sure before the training that its snapshots can be written.

    Raises:
        DataError: Their folder is not there, or not writable.
    """
    from caffeflow.engine.snapshot import check_prefix

    prefix = parameters.snapshot_prefix
    if parameters.snapshot <= 0 and not parameters.snapshot_after_train:
        return
    if not Path(prefix).parent.is_dir():
        raise DataError(
            f"Cannot write to snapshot prefix '{prefix}'. Make sure that the directory exists and is"
            " writable."
        )
    check_prefix(prefix)
