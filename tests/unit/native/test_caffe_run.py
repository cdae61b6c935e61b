"""Finding and running a caffe program, with small programs that behave as one does."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from caffeflow.errors import NativeError, NetError, StoppedError, UsageError
from caffeflow.native.remembered import remember_caffe
from caffeflow.native.run import check_layer_types, find_caffe, layer_types, run_caffe_train
from caffeflow.proto.net import train_net_of
from caffeflow.proto.text import read_solver

NET = """name: "tiny"
layer { name: "data" type: "DummyData" top: "data"
  dummy_data_param { shape { dim: 2 dim: 3 } } }
layer { name: "last" type: "Pelican" bottom: "data" top: "last" }
"""
REFUSAL = (
    "F1120 10:10:51.668388 14598 layer_factory.hpp:81] Check failed: registry.count(type) == 1 (0 vs. 1)"
    " Unknown layer type: CaffeflowProbe (known types: {types})"
)


def write_program(path: Path, body: str, *, types: str = "DummyData, Pelican") -> Path:
    """Writes a program that answers the question for its layer types, and trains by `body`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "#!/bin/sh\n"
        f'if [ "$1" = time ]; then echo "{REFUSAL.format(types=types)}" >&2; kill -ABRT $$; fi\n'
        f"{body}\n"
    )
    path.chmod(0o755)
    return path


@pytest.fixture
def solver(tmp_path: Path) -> Path:
    net = tmp_path / "net.prototxt"
    net.write_text(NET)
    path = tmp_path / "solver.prototxt"
    path.write_text(f'net: "{net}" max_iter: 3\n')
    return path


def test_finds_the_program_given_then_of_caffe_root_then_remembered_then_on_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = write_program(tmp_path / "given", "")
    built = write_program(tmp_path / "tree/build/tools/caffe", "")
    remembered = write_program(tmp_path / "other/cmake_build/tools/caffe", "")
    on_path = write_program(tmp_path / "bin/caffe", "")
    monkeypatch.setenv("PATH", str(on_path.parent))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("CAFFE_ROOT", raising=False)
    assert find_caffe() == on_path
    remember_caffe(remembered)
    assert find_caffe() == remembered
    monkeypatch.setenv("CAFFE_ROOT", str(tmp_path / "tree"))
    assert find_caffe() == built
    assert find_caffe(given) == given
    assert find_caffe(tmp_path / "tree") == built
    assert find_caffe(tmp_path / "other") == remembered


def test_no_program_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CAFFE_ROOT", raising=False)
    with pytest.raises(NativeError, match=r"--caffe PATH.*CAFFE_ROOT.*--engine torch"):
        find_caffe()


def test_caffe_root_is_not_passed_over_when_nothing_was_built_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = write_program(tmp_path / "bin/caffe", "")
    monkeypatch.setenv("PATH", str(on_path.parent))
    monkeypatch.setenv("CAFFE_ROOT", str(tmp_path))
    (tmp_path / "bin/caffe").rename(tmp_path / "elsewhere")
    with pytest.raises(NativeError, match=r"CAFFE_ROOT .* has no built caffe"):
        find_caffe()


@pytest.mark.parametrize(("mode", "word"), [(0o644, "is not executable"), (None, "does not exist")])
def test_a_program_that_cannot_run_is_named(tmp_path: Path, mode: int | None, word: str) -> None:
    path = tmp_path / "caffe"
    if mode is not None:
        path.write_text("")
        path.chmod(mode)
    with pytest.raises(NativeError, match=f"{path}.*{word}"):
        find_caffe(path)


def test_learns_the_layer_types(tmp_path: Path) -> None:
    caffe = write_program(tmp_path / "caffe", "", types="AbsVal, Convolution, WindowData")
    assert layer_types(caffe) == {"AbsVal", "Convolution", "WindowData"}


def test_a_program_that_is_no_caffe_is_told_by_what_it_says(tmp_path: Path) -> None:
    program = tmp_path / "caffe"
    program.write_text(
        "#!/bin/sh\necho 'caffe: error while loading shared libraries: libblas.so.3: missing'\nexit 127\n"
    )
    program.chmod(0o755)
    with pytest.raises(NativeError, match=r"libblas\.so\.3.*LD_LIBRARY_PATH"):
        layer_types(program)


def test_a_missing_layer_type_is_named_with_its_place(tmp_path: Path, solver: Path) -> None:
    caffe = write_program(tmp_path / "caffe", "", types="DummyData, Pelicans")
    role = train_net_of(read_solver(solver), solver_path=solver)
    with pytest.raises(
        NativeError, match=r"net\.prototxt:4: layer 'last'.*'Pelican'.*did you mean 'Pelicans'"
    ):
        check_layer_types(caffe, [role])


def test_training_hands_over_lines_and_passes_options_on(tmp_path: Path, solver: Path) -> None:
    caffe = write_program(tmp_path / "caffe", 'for word in "$@"; do echo "$word"; done; echo to stderr >&2')
    lines: list[str] = []
    weights = [tmp_path / "a.caffemodel", tmp_path / "b.caffemodel"]
    run_caffe_train(caffe=caffe, solver=solver, on_line=lines.append, weights=weights, gpu="0,1")
    assert lines == [
        "train",
        f"-solver={solver}",
        f"-weights={weights[0]},{weights[1]}",
        "-gpu=0,1",
        "to stderr",
    ]


def test_training_goes_on_from_a_snapshot(tmp_path: Path, solver: Path) -> None:
    caffe = write_program(tmp_path / "caffe", 'for word in "$@"; do echo "$word"; done')
    lines: list[str] = []
    run_caffe_train(caffe=caffe, solver=solver, on_line=lines.append, snapshot=tmp_path / "s", gpu="all")
    assert lines == ["train", f"-solver={solver}", f"-snapshot={tmp_path / 's'}", "-gpu=all"]


def test_weights_and_snapshot_exclude_each_other(tmp_path: Path, solver: Path) -> None:
    with pytest.raises(UsageError, match="weights and a snapshot"):
        run_caffe_train(
            caffe=tmp_path / "caffe", solver=solver, on_line=print, weights=[tmp_path], snapshot=tmp_path
        )


@pytest.mark.parametrize("gpu", ["", "one", "0,", "0 1", "-1"])
def test_a_gpu_list_that_caffe_would_choke_on_is_refused(tmp_path: Path, solver: Path, gpu: str) -> None:
    with pytest.raises(UsageError, match="--gpu"):
        run_caffe_train(caffe=tmp_path / "caffe", solver=solver, on_line=print, gpu=gpu)


def test_the_log_is_whole_whatever_glog_settings_the_shell_has(
    tmp_path: Path, solver: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLOG_minloglevel", "2")
    caffe = write_program(tmp_path / "caffe", 'echo "level ${GLOG_minloglevel:-unset}"')
    lines: list[str] = []
    run_caffe_train(caffe=caffe, solver=solver, on_line=lines.append)
    assert lines == ["level unset"]


def test_a_dead_caffe_is_told_by_its_last_fatal_line(tmp_path: Path, solver: Path) -> None:
    caffe = write_program(
        tmp_path / "caffe",
        'echo "I1120 10:10:51.0 7 solver.cpp:60] Solver scaffolding done."\n'
        'echo "F1120 10:10:52.0 7 data_layer.cpp:9] Check failed: 3 == 1 (3 vs. 1) wrong channels" >&2\n'
        'echo "*** Check failure stack trace: ***" >&2\nkill -ABRT $$',
    )
    lines: list[str] = []
    with pytest.raises(NativeError, match=r"Check failed: 3 == 1 \(3 vs\. 1\) wrong channels") as caught:
        run_caffe_train(caffe=caffe, solver=solver, on_line=lines.append)
    assert "134" not in str(caught.value)
    assert len(lines) == 3


def test_a_missing_net_is_found_before_anything_starts(tmp_path: Path) -> None:
    solver = tmp_path / "solver.prototxt"
    solver.write_text('net: "nowhere.prototxt"\n')
    with pytest.raises(NetError, match=r"nowhere\.prototxt"):
        run_caffe_train(caffe=tmp_path / "caffe", solver=solver, on_line=print)


WAITS = """
trap 'echo "snapshot {name}"; {after}' {name}
echo ready
for tenth in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 0.1; done
echo trained
"""


@pytest.mark.parametrize(
    ("name", "after", "last"), [("INT", "exit 0", "snapshot INT"), ("HUP", ":", "trained")]
)
def test_signals_reach_caffe_which_decides(
    tmp_path: Path, solver: Path, name: str, after: str, last: str
) -> None:
    caffe = write_program(tmp_path / "caffe", WAITS.format(name=name, after=after))
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        if line == "ready":
            os.kill(os.getpid(), getattr(signal, f"SIG{name}"))

    before = signal.getsignal(signal.SIGINT)
    run_caffe_train(caffe=caffe, solver=solver, on_line=on_line)
    assert f"snapshot {name}" in lines
    assert lines[-1] == last
    assert signal.getsignal(signal.SIGINT) is before


def test_stopped_before_caffe_minds_signals(tmp_path: Path, solver: Path) -> None:
    caffe = write_program(tmp_path / "caffe", "echo ready; exec sleep 5")
    with pytest.raises(StoppedError, match="before it could snapshot"):
        run_caffe_train(caffe=caffe, solver=solver, on_line=lambda _: os.kill(os.getpid(), signal.SIGINT))


def test_no_child_is_left_when_reading_its_log_fails(tmp_path: Path, solver: Path) -> None:
    caffe = write_program(tmp_path / "caffe", "echo $$; exec sleep 60")
    seen: list[int] = []

    def on_line(line: str) -> None:
        seen.append(int(line))
        raise NetError("the log cannot be read")

    with pytest.raises(NetError):
        run_caffe_train(caffe=caffe, solver=solver, on_line=on_line)
    with pytest.raises(ProcessLookupError):
        os.kill(seen[0], 0)


def test_runs_outside_the_main_thread(tmp_path: Path, solver: Path) -> None:
    caffe = write_program(tmp_path / "caffe", "echo trained")
    lines: list[str] = []
    thread = threading.Thread(
        target=run_caffe_train, kwargs={"caffe": caffe, "solver": solver, "on_line": lines.append}
    )
    thread.start()
    thread.join(timeout=10)
    assert lines == ["trained"]
