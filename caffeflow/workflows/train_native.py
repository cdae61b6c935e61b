"""Training with the real caffe, into the same kind of run folder as the embedded engine's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from caffeflow.errors import CaffeflowError, UsageError
from caffeflow.native.run import check_layer_types, find_caffe, run_caffe_train
from caffeflow.proto.binary import write_caffemodel
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.proto.net import NetRole, test_nets_of, train_net_of
from caffeflow.proto.text import format_message, read_solver
from caffeflow.report.curves import kind_of
from caffeflow.report.log import LogReader, Row
from caffeflow.weights.formats import read_weights_file
from caffeflow.workflows.detection_names import class_names_in
from caffeflow.workflows.preflight import preflight
from caffeflow.workflows.preflight_findings import Flight
from caffeflow.workflows.run_folder import MetricsTable, RunFolder
from caffeflow.workflows.train_labels import sources_of
from caffeflow.workflows.train_record import Screen, draw, keep_best, logged_class_figures, test_name
from caffeflow.workflows.train_settings import TrainReport, TrainSettings

_STATE: Final = re.compile(r"_iter_(\d+)\.solverstate(\.h5)?$")
_FOREIGN_WEIGHTS: Final = (".npz", ".safetensors")


def train_native(settings: TrainSettings, folder: RunFolder | None, screen: Screen) -> TrainReport:
    """Trains with the real caffe and returns when it has ended.

    Caffe runs a copy of the solver that lies in the run folder: with --iterations, --seed and --device
    cpu put in, and with a snapshot_prefix where the solver has none.

    Args:
        settings: What is asked for.
        folder: The run folder of a run that goes on; None: a new one is made.
        screen: The user's.

    Raises:
        NativeError: There is no caffe, it lacks a layer type, or it died.
        DataError: The data do not fit the nets.
        NetError: Parts of the nets do not fit together.
        UsageError: The options contradict each other.
    """
    caffe = find_caffe(settings.caffe)
    parameters = read_solver(settings.solver)
    train = train_net_of(parameters, solver_path=settings.solver)
    tests = test_nets_of(parameters, solver_path=settings.solver)
    roles = [train, *tests]
    check_layer_types(caffe, roles)
    preflight(Flight(roles=roles, engine="caffe", caffe=caffe, solver=parameters), screen.note)
    with ExitStack() as opened:
        if folder is None:
            folder = opened.enter_context(_new_folder(settings, train, caffe))
        else:
            folder.go_on()
        _put_in(parameters, settings, folder)
        _keep_files(parameters, roles, settings, folder)
        snapshot = _newest_state(parameters.snapshot_prefix) if settings.resume else None
        follower = _Follower(
            folder,
            screen,
            total=parameters.max_iter,
            goes_on=snapshot is not None,
            class_names=class_names_in(tests[0].net) if tests else {},
        )
        opened.callback(follower.close)
        try:
            _run(caffe, follower, settings=settings, parameters=parameters, folder=folder, snapshot=snapshot)
        except CaffeflowError as error:
            folder.end("failed", iterations=follower.iteration, error=str(error))
            raise
        follower.close()
        draw(folder.path, screen)
        return _report(folder, follower, parameters)


def _put_in(parameters: SolverParameter, settings: TrainSettings, folder: RunFolder) -> None:
    if settings.iterations is not None:
        parameters.max_iter = settings.iterations
    if settings.seed is not None:
        parameters.random_seed = settings.seed
    if settings.device == "cpu":
        parameters.solver_mode = SolverParameter.CPU
    if not parameters.snapshot_prefix:
        parameters.snapshot_prefix = str(folder.path / "snapshots" / folder.name)
    Path(parameters.snapshot_prefix).parent.mkdir(parents=True, exist_ok=True)


def _keep_files(
    parameters: SolverParameter, roles: Sequence[NetRole], settings: TrainSettings, folder: RunFolder
) -> None:
    """Writes the solver that Caffe is to run into the run folder, and for readers its nets beside it."""
    folder.keep("solver.prototxt", format_message(parameters))
    for role in roles:
        if role.net_file.path.resolve() != settings.solver.resolve():
            folder.keep(role.net_file.path.name, role.net_file.path.read_text(encoding="utf-8-sig"))


def _run(
    caffe: Path, follower: _Follower, *,
    settings: TrainSettings, parameters: SolverParameter, folder: RunFolder, snapshot: Path | None,
) -> None:  # fmt: skip
    """Runs Caffe, from a snapshot if a run goes on or one was asked for; from weights if not."""
    run_caffe_train(
        caffe=caffe,
        solver=folder.path / "solver.prototxt",
        on_line=follower,
        weights=[] if snapshot else list(_weights_for_caffe(settings, parameters, folder)),
        snapshot=snapshot or (Path(settings.snapshot) if settings.snapshot else None),
        gpu=_gpu(settings),
    )


def _weights_for_caffe(
    settings: TrainSettings, parameters: SolverParameter, folder: RunFolder
) -> Iterator[Path]:
    """Yields the files to begin with; those in formats that Caffe does not know, as caffemodels."""
    for number, path in enumerate(map(Path, settings.weights_for(parameters))):
        if path.suffix not in _FOREIGN_WEIGHTS:
            yield path
            continue
        held = read_weights_file(path)
        converted = folder.path / f"weights_{number}.caffemodel"
        write_caffemodel(converted, name=held.name, layers=held.layers)
        yield converted


def _gpu(settings: TrainSettings) -> str | None:
    if settings.gpu is not None and settings.device == "cpu":
        raise UsageError(f"--device cpu and --gpu {settings.gpu} contradict each other; give one")
    return settings.gpu or ("0" if settings.device == "cuda" else None)


def _new_folder(settings: TrainSettings, train: NetRole, caffe: Path) -> RunFolder:
    name = settings.solver.resolve().parent.name or "run"
    folder = RunFolder.new(name, settings.out_dir)
    folder.begin(
        {
            "id": uuid4().hex,
            "command": list(settings.command),
            "net": train.net.name or train.net_file.path.stem,
            "solver": str(settings.solver),
            "solver_path": str(settings.solver.resolve()),
            "dataset": sources_of(train.net),
            "seed": settings.seed,
            "settings": settings.as_record(),
            "engine": str(caffe),
        }
    )
    return folder


def _newest_state(prefix: str) -> Path | None:
    states = [
        (int(match[1]), path.stat().st_mtime, path)
        for path in Path(prefix).parent.glob("*.solverstate*")
        if (match := _STATE.search(path.name)) and path.name == f"{Path(prefix).name}{match[0]}"
    ]
    return max(states)[-1] if states else None


def _report(folder: RunFolder, follower: _Follower, parameters: SolverParameter) -> TrainReport:
    state = _newest_state(parameters.snapshot_prefix)
    is_complete = not follower.was_stopped
    done = parameters.max_iter if is_complete else follower.iteration
    folder.end("finished" if is_complete else "stopped", iterations=done, results=follower.results)
    return TrainReport(
        run_dir=folder.path,
        iterations=done,
        is_complete=is_complete,
        weights=state.with_name(state.name.replace(".solverstate", ".caffemodel")) if state else None,
        results=follower.results,
    )


class _Follower:
    """Takes Caffe's log line by line: into caffe.log, and row by row into metrics.csv.

    Its outputs are known only when they come, so the table is written anew when a new one appears.
    """

    def __init__(
        self,
        folder: RunFolder,
        screen: Screen,
        *,
        total: int,
        goes_on: bool,
        class_names: Mapping[int, str],
    ) -> None:
        self._folder: Final = folder
        self._class_names: Final = class_names
        self._screen: Final = screen
        self._total: Final = total
        self._log = (folder.path / "caffe.log").open("a", encoding="utf-8", buffering=1)
        self._reader: Final = LogReader()
        self._columns: list[str] = _known_columns(folder.path) if goes_on else []
        self._table = MetricsTable(
            folder.path / "metrics.csv", self._columns, resume_at=None if not goes_on else 1 << 62
        )
        self.iteration = 0
        self.was_stopped = False
        self.results: dict[str, Any] = dict(folder.record["results"])

    def __call__(self, line: str) -> None:
        self._log.write(line + "\n")
        self._screen.log(line)
        self.was_stopped |= "Optimization stopped early" in line
        row = self._reader.feed(line)
        if row is not None:
            self._add(row)

    def close(self) -> None:
        """Closes all files."""
        if not self._log.closed:
            for run in self._reader.finish()[-1:]:
                newest = max((*run.train, *run.test), key=lambda row: row.iteration, default=None)
                if newest is not None and newest.iteration > self.iteration:
                    self._add(newest)
            self._log.close()
            self._table.close()

    def _add(self, row: Row) -> None:
        self.iteration = row.iteration
        side = "train" if row.test_net is None else test_name(row.test_net)
        values = {f"{side} {name}": value for name, value in row.outputs.items()}
        if row.test_net is None:
            values |= {"lr": row.lr, "loss": row.loss}
            self._screen.progress(row.iteration, self._total, f"loss {row.loss:g}  lr {row.lr:g}")
        else:
            classes = logged_class_figures(row.outputs, self._class_names)
            shown = {name: value for name, value in values.items() if kind_of(name) != "class"}
            for name, value in shown.items():
                keep_best(self.results, name, value, row.iteration)
                if classes and kind_of(name) == "score":
                    self.results[name]["classes"] = classes
            said = "  ".join(f"{name} {value:g}" for name, value in shown.items())
            self._screen.main(f"iteration {row.iteration}: {said}")
        self._widen([name for name in values if name not in (*MetricsTable.FIXED, *self._columns)])
        self._table.add({"iteration": row.iteration, "seconds": row.seconds, **values})

    def _widen(self, names: list[str]) -> None:
        if names:
            self._columns += names
            self._table.close()
            self._table = MetricsTable(self._folder.path / "metrics.csv", self._columns, resume_at=1 << 62)


def _known_columns(run_dir: Path) -> list[str]:
    path = run_dir / "metrics.csv"
    header = path.read_text(encoding="utf-8").split("\n", 1)[0].split(",") if path.exists() else []
    return [name for name in header if name not in MetricsTable.FIXED]
