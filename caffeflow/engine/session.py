"""All that a training holds open: nets, executors, feeds and the solver, made from a solver's fields.

The one rule to know: everything that can be wrong with solver, nets and data is found while a session
is made, before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final, Self

import torch

from caffeflow.augmentation import Augmentation
from caffeflow.engine import setup_lines
from caffeflow.engine.carried import carried_values, give_back
from caffeflow.engine.debug_info import DebugExecutor, with_splits
from caffeflow.engine.detection import NewTally
from caffeflow.engine.feed.augmented import check_augmented
from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.feed.protocol import Feed
from caffeflow.engine.feed.sources import record_shape
from caffeflow.engine.label_smoothing import smooth_labels
from caffeflow.engine.lines import LogLine
from caffeflow.engine.net import Net
from caffeflow.engine.policies import LearningRate
from caffeflow.engine.schedule import AS_THE_SOLVER_SAYS, Schedule
from caffeflow.engine.snapshot_formats import check_hdf5, hdf5_remarks
from caffeflow.engine.solver import NextFeeds, Solver
from caffeflow.engine.testing import TestPass
from caffeflow.engine.training import Feeds, FusedExecutor, Precision
from caffeflow.engine.updates import check_update
from caffeflow.errors import NetError
from caffeflow.proto.binary import LayerArrays
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.matching import CopyPlan
from caffeflow.proto.net import NetRole
from caffeflow.proto.text import located

_FED_BY_PROGRAMS: Final = ("Input", "MemoryData")
EVAL_TYPES: Final = ("classification", "detection")


@dataclass(frozen=True, kw_only=True)
class SessionSettings:
    """How to train, beside what the solver says.

    Attributes:
        device: Where to.
        precision: Of the arithmetic.
        seed: Of fillers, dropout, crops and mirrors.
        on_line: Gets log lines while nets are made, and those of debug_info later.
        new_tally: What takes the rows of tests of detections; for solvers with that eval_type.
        on_built: Gets each net when it is made, before the next one.
        augmentation: How pictures are changed at random before they reach the train net.
        schedule: How the rate goes where the solver cannot say it.
        label_smoothing: Share of each label that the train net's loss gives to all classes.
    """

    device: torch.device
    precision: Precision = "fp32"
    seed: int = 0
    on_line: Callable[[LogLine], None]
    new_tally: NewTally | None = None
    on_built: Callable[[NetRole, Net], None] = lambda _role, _net: None
    augmentation: Augmentation | None = None
    schedule: Schedule = AS_THE_SOLVER_SAYS
    label_smoothing: float = 0.0


class Session:
    """A training that is ready to run; close it to stop the feeds.

    Args:
        parameters: The solver's fields.
        train: The net to train.
        tests: The nets to test, in the solver's order.
        settings: Device, precision, seed, and what is asked for beside the solver.

    Raises:
        NetError: A solver or net that Caffe would refuse.
        DataError: A source that cannot be read.
        UsageError: What is asked for does not go with solver or net.
    """

    def __init__(
        self,
        parameters: SolverParameter,
        train: NetRole,
        tests: Sequence[NetRole],
        settings: SessionSettings,
    ) -> None:
        check_solver(parameters, settings.schedule)
        self._settings: Final = settings
        self._shows_blobs: Final = parameters.debug_info
        self._feeds: Final[list[dict[str, Feed]]] = []
        torch.manual_seed(settings.seed)
        with ExitStack() as opened:
            net = self._build(train)
            if settings.label_smoothing:
                smooth_labels(net, settings.label_smoothing)
            if parameters.snapshot_format == SolverParameter.HDF5:
                for line in hdf5_remarks(net):
                    settings.on_line(line)
            executor = self._executor(net, train)
            channels_last = isinstance(executor, FusedExecutor) and executor.channels_last
            self.solver: Final = Solver(
                parameters,
                net,
                executor,
                channels_last=channels_last,
                on_start=self._start_iteration,
                schedule=settings.schedule,
            )
            if settings.augmentation is not None:
                fed = [layer.facts.node.layer for layer in net.fed]
                check_augmented(fed, settings.augmentation)
            self.next_feeds: Final = self._open(train, net, opened, augmentation=settings.augmentation)
            self.tests: Final = [
                self._test_pass(role, iterations, opened)
                for role, iterations in zip(tests, parameters.test_iter, strict=True)
            ]
            self._opened: Final = opened.pop_all()

    def __enter__(self) -> Self:
        """Returns the session."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stops the feeds."""
        self.close()

    def close(self) -> None:
        """Stops the feeds."""
        self._opened.close()

    @property
    def nets(self) -> tuple[Net, ...]:
        """The train net, then the test nets."""
        return (self.solver.net, *(test.net for test in self.tests))

    @property
    def torch_version(self) -> str:
        """What computes, for the record."""
        return str(torch.__version__)

    def load(self, weights: Sequence[LayerArrays]) -> CopyPlan:
        """Copies weights by layer name into the train net, whose blobs the test nets use.

        What only a test net has is taken from them too, as Caffe does; the plan tells of the train net.

        Raises:
            WeightsError: They do not fit.
        """
        plan = self.solver.net.load(weights)
        for test in self.tests:
            test.net.load(weights)
        return plan

    def positions(self) -> dict[str, Any]:
        """Returns where every feed stands and what layers carry over, for a snapshot."""
        return {
            "feeds": [{name: feed.position() for name, feed in feeds.items()} for feeds in self._feeds],
            "carried": [carried_values(net) for net in self.nets],
        }

    def restore(self, positions: Mapping[str, Any]) -> list[str]:
        """Lets every feed and state go on from a snapshot; returns a sentence on each layer not in it."""
        remarks = []
        kept = positions["feeds"]
        for number, feeds in enumerate(self._feeds):
            known = kept[number] if number < len(kept) else {}
            for name, feed in feeds.items():
                if name in known:
                    feed.restore(known[name])
                else:
                    remarks.append(f"data layer '{name}' is new in the net; it starts at its first record")
        states = positions.get("carried", [])  # snapshots of older versions have none
        for number, net in enumerate(self.nets):
            forgotten = give_back(net, states[number] if number < len(states) else {})
            remarks += [
                f"layer '{name}': the snapshot has no state of it; it begins with zeros" for name in forgotten
            ]
        return remarks

    def _build(self, role: NetRole, *, shares: Net | None = None) -> Net:
        settings = self._settings
        built = with_splits(role) if self._shows_blobs else role
        net = Net.of(
            built, record_shape=record_shape, seed=settings.seed, shares=shares, device=settings.device
        )
        for line in setup_lines.of_net(role, net):
            settings.on_line(line)
        settings.on_built(role, net)
        return net

    def _executor(self, net: Net, role: NetRole) -> DebugExecutor | FusedExecutor:
        if self._shows_blobs:
            force = role.net.force_backward
            return DebugExecutor(net, self._settings.on_line, force_backward=force)
        return FusedExecutor(net, precision=self._settings.precision)

    def _start_iteration(self) -> None:
        executor = self.solver.executor
        if isinstance(executor, DebugExecutor):
            executor.show(self.solver.is_displayed)

    def _test_pass(self, role: NetRole, iterations: int, opened: ExitStack) -> TestPass:
        # Caffe: each net begins with its own fillers, then takes the train net's blobs by layer name.
        net = self._build(role, shares=self.solver.net)
        net.share(self.solver.net)
        executor = self._executor(net, role)
        with located(role.net_file):
            return TestPass(
                executor,
                self._open(role, net, opened),
                iterations=iterations,
                new_tally=self._settings.new_tally,
            )

    def _open(
        self, role: NetRole, net: Net, opened: ExitStack, *, augmentation: Augmentation | None = None
    ) -> NextFeeds:
        feeds: dict[str, Feed] = {}
        with located(role.net_file):
            for layer in net.fed:
                if layer.type in _FED_BY_PROGRAMS:
                    raise NetError(
                        f"is a layer of type {layer.type}, which brings no data to train on: programs fill it"
                        " through caffeflow.pycaffe; use a Data or ImageData layer",
                        layer=layer.name,
                    )
                feed = open_feed(
                    layer.facts.node.layer,
                    phase=layer.phase,
                    seed=self._settings.seed,
                    pin=self._settings.device.type == "cuda",
                    augmentation=augmentation,
                )
                opened.callback(feed.close)
                feeds[layer.name] = feed
        self._feeds.append(feeds)
        return _Batches(feeds)


class _Batches:
    """Calls all feeds of a net for their next batch."""

    def __init__(self, feeds: Mapping[str, Feed]) -> None:
        self._feeds: Final = tuple(feeds.items())

    def __call__(self) -> Feeds:
        """Returns the next batch of every feed."""
        return {name: feed.next() for name, feed in self._feeds}


def check_solver(parameters: SolverParameter, schedule: Schedule = AS_THE_SOLVER_SAYS) -> None:
    """Looks at all fields of a solver that the engine reads.

    Raises:
        NetError: A field that Caffe would refuse, or that is not honoured here.
        UsageError: The schedule does not fit into max_iter.
    """
    check_update(parameters)
    LearningRate(parameters, schedule)
    if parameters.average_loss < 1:
        raise NetError(f"average_loss is {parameters.average_loss}; it must be at least 1")
    if parameters.max_iter < 0 or parameters.display < 0 or parameters.snapshot < 0:
        raise NetError("max_iter, display and snapshot must not be negative")
    for position, iterations in enumerate(parameters.test_iter):
        if iterations < 1:
            raise NetError(f"test_iter number {position} is {iterations}; it must be at least 1")
    if parameters.snapshot_format == SolverParameter.HDF5:
        check_hdf5()
    if parameters.eval_type not in EVAL_TYPES:
        raise NetError(f"eval_type is '{parameters.eval_type}'; expected {' or '.join(EVAL_TYPES)}")


def ignored_fields(parameters: SolverParameter, schedule: Schedule = AS_THE_SOLVER_SAYS) -> Iterator[str]:
    """Yields a remark for each field that is given and has no effect here."""
    if schedule.policy is not None and parameters.lr_policy:
        yield f"lr_policy '{parameters.lr_policy}' has no effect: --lr-policy is {schedule.policy}"
    if parameters.snapshot_diff:
        yield "snapshot_diff has no effect: snapshots hold weights only"
    wants_gpu = parameters.HasField("solver_mode") and parameters.solver_mode == SolverParameter.GPU
    if wants_gpu and not torch.cuda.is_available():
        yield "solver_mode is GPU, but PyTorch finds none: training on the CPU"
