"""Running the real caffe: finding it, learning which layer types it has, training with it.

It is always a child process whose log lines are handed over as they come; caffeflow never imports
the native pycaffe. Paths inside solver and net are relative to the working folder, as ever.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, Protocol

from caffeflow import system
from caffeflow.errors import NativeError, StoppedError, UsageError, suggestion
from caffeflow.native.failure import LastWords
from caffeflow.native.remembered import find_remembered_caffe
from caffeflow.proto.forks import tree_of_layer
from caffeflow.proto.net import NetRole, test_nets_of, train_net_of
from caffeflow.proto.text import read_solver

# Where a build leaves the program inside a Caffe tree: caffeflow beside a build of the user's own, make
# and cmake, then an installed tree.
_IN_TREE: Final = (
    "cmake_build/tools/caffe", "build/tools/caffe", "build/tools/caffe.bin", "build/install/bin/caffe",
    "bin/caffe",
)  # fmt: skip
_KNOWN_TYPES: Final = re.compile(r"Unknown layer type: \S+ \(known types: ([^)]*)\)")
_PROBE: Final = 'name: "probe" layer { name: "probe" type: "CaffeflowProbe" top: "probe" }\n'
_PASSED_ON: Final = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)


class _Process(Protocol):
    """What is used of a running child."""

    def send_signal(self, number: int, /) -> None: ...
    def poll(self) -> int | None: ...
    def kill(self) -> None: ...
    def wait(self) -> int: ...


def find_caffe(given: Path | None = None) -> Path:
    """Returns the caffe program: the one given, else of CAFFE_ROOT, else built last, else on PATH.

    Args:
        given: A program, or a Caffe tree in which one was built.

    Raises:
        NativeError: There is none, or what was given is none.
    """
    root = os.environ.get("CAFFE_ROOT")
    if given is not None:
        return _program_at(given, named_by="--caffe")
    if root:
        return _program_at(Path(root), named_by="CAFFE_ROOT")
    remembered = find_remembered_caffe()
    if remembered is not None:
        return remembered
    on_path = shutil.which("caffe")
    if on_path:
        return Path(on_path)
    raise NativeError(
        "there is no caffe program on PATH: give one with --caffe PATH, set CAFFE_ROOT to a built Caffe"
        " tree, build one with caffeflow caffe build TREE, or train with --engine torch, which needs no Caffe"
    )


def layer_types(caffe: Path) -> frozenset[str]:
    """Returns the layer types that a caffe program was built with.

    It is given a net with a type that no tree has, and names those that it has in its refusal.

    Raises:
        NativeError: The program does not start, or says something else.
    """
    with tempfile.TemporaryDirectory(prefix="caffeflow-") as folder:
        probe = Path(folder) / "probe.prototxt"
        probe.write_text(_PROBE)
        done = system.run([caffe, "time", f"-model={probe}"], env=_environment(Path(folder)))
    found = _KNOWN_TYPES.search(done.output)
    if found:
        return frozenset(found[1].split(", "))
    last_words = LastWords()
    for line in done.output.splitlines():
        last_words.see(line)
    raise NativeError(f"'{caffe}' does not behave as caffe does: {last_words.explain(done.returncode)}")


def check_layer_types(caffe: Path, roles: Iterable[NetRole]) -> None:
    """Checks that a caffe program has every layer type of the nets.

    Raises:
        NativeError: It lacks one; names the file, the line, the layer and the type.
    """
    known = layer_types(caffe)
    for role in roles:
        for layer in role.net.layer:
            if layer.type not in known:
                line = role.net_file.lines.get(layer.name)
                place = f"{role.net_file.path}:{line}" if line else str(role.net_file.path)
                raise NativeError(
                    f"{place}: layer '{layer.name}': '{caffe}' has no layer type '{layer.type}'"
                    f"{_advice(layer.type, known)}, or --engine torch"
                )


def _advice(layer_type: str, known: Iterable[str]) -> str:
    tree = tree_of_layer(layer_type)
    if tree is None:
        return f"{suggestion(layer_type, known)}; use a tree that has it"
    return f"; {tree} has it: give one built from that with --caffe"


def run_caffe_train(
    *,
    caffe: Path,
    solver: Path,
    on_line: Callable[[str], None],
    weights: Sequence[Path] = (),
    snapshot: Path | None = None,
    gpu: str | None = None,
) -> None:
    """Trains with the real caffe and returns when it has ended well, by max_iter or by SIGINT.

    SIGINT and SIGHUP go to caffe, which snapshots and then stops, or goes on, as its own manual says.

    Args:
        caffe: The program, from `find_caffe`; a script that starts one must `exec` it.
        solver: The solver file.
        on_line: Gets each line of its log as it comes.
        weights: Caffemodels to begin from, by layer name.
        snapshot: A solverstate to go on from, instead of weights.
        gpu: Numbers such as `0` or `0,1`, or `all`; None: as the solver's solver_mode says.

    Raises:
        NetError: The solver or one of its nets cannot be read.
        NativeError: Caffe lacks a layer type, or died; the message has its own last words.
        StoppedError: It was stopped before it could snapshot.
        UsageError: The options contradict each other.
    """
    command = _train_command(caffe, solver=solver, weights=weights, snapshot=snapshot, gpu=gpu)
    parameters = read_solver(solver)
    roles = [train_net_of(parameters, solver_path=solver), *test_nets_of(parameters, solver_path=solver)]
    check_layer_types(caffe, roles)

    last_words = LastWords()

    def see(line: str) -> None:
        last_words.see(line)
        on_line(line)

    with tempfile.TemporaryDirectory(prefix="caffeflow-") as log_dir, _signals_passed_on() as child:
        code = system.follow(command, see, env=_environment(Path(log_dir)), on_start=child.append)
    if -code in (signal.SIGINT, signal.SIGTERM):
        raise StoppedError("caffe was stopped before it could snapshot; go on from the last snapshot, if any")
    if code != 0:
        raise NativeError(f"'{caffe} train' failed: {last_words.explain(code)}")


def _train_command(
    caffe: Path, *, solver: Path, weights: Sequence[Path], snapshot: Path | None, gpu: str | None
) -> list[str]:
    if weights and snapshot:
        raise UsageError("weights and a snapshot were given; expected one: a snapshot brings its weights")
    if gpu is not None and not re.fullmatch(r"all|\d+(,\d+)*", gpu):
        raise UsageError(f"--gpu '{gpu}' is no list of GPUs; expected numbers such as 0 or 0,1, or all")
    command = [str(caffe), "train", f"-solver={solver}"]
    if weights:
        command.append("-weights=" + ",".join(str(path) for path in weights))
    if snapshot:
        command.append(f"-snapshot={snapshot}")
    if gpu is not None:
        command.append(f"-gpu={gpu}")
    return command


def _program_at(path: Path, *, named_by: str) -> Path:
    """Returns the program that a path names, or that a tree at the path was built with."""
    candidates = [path / inside for inside in _IN_TREE] if path.is_dir() else [path]
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate.absolute()
    if path.is_dir():
        looked = ", ".join(_IN_TREE)
        raise NativeError(
            f"{named_by} '{path}' has no built caffe (looked for {looked}): caffeflow caffe build makes one"
        )
    state = "is not executable" if path.exists() else "does not exist"
    raise NativeError(f"{named_by} '{path}' {state}; expected the caffe program, or a tree it was built in")


def _environment(log_dir: Path) -> dict[str, str]:
    """Returns this environment without what would thin out the log, or litter /tmp with copies of it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GLOG_")}
    return kept | {"GLOG_log_dir": str(log_dir)}


@contextmanager
def _signals_passed_on() -> Iterator[list[_Process]]:
    """Hands the signals of this process to the child in the yielded list; no child outlives the block."""
    child: list[_Process] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if not child:
            raise StoppedError("stopped before caffe was started")
        child[0].send_signal(number)

    is_main = threading.current_thread() is threading.main_thread()  # only there may handlers be set
    before = {number: signal.signal(number, pass_on) for number in _PASSED_ON} if is_main else {}
    try:
        yield child
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for process in child:
            if process.poll() is None:
                process.kill()
                process.wait()
