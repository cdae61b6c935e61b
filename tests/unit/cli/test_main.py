"""The root command and its error boundary."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from caffeflow import errors
from caffeflow.cli import main
from caffeflow.cli.commands import layers


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def callback(**_: object) -> None:
        raise error

    monkeypatch.setattr(layers.command, "callback", callback)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.CheckError("x"), 1),
        (errors.UsageError("x"), 2),
        (errors.TemplateError("x"), 3),
        (errors.NetError("x"), 4),
        (errors.DataError("x"), 5),
        (errors.WeightsError("x"), 6),
        (errors.NativeError("x"), 7),
        (errors.StoppedError("x"), 8),
    ],
)
def test_errors_are_one_line_with_their_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    raising(monkeypatch, error)
    assert main.run(["layers"]) == code
    assert capsys.readouterr().err == "error: x\n"


def test_a_bug_is_said_to_be_one_and_its_traceback_is_kept(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    raising(monkeypatch, ZeroDivisionError("oh"))
    assert main.run(["layers"]) == 70
    message = capsys.readouterr().err
    assert "a bug of caffeflow: ZeroDivisionError: oh" in message
    (log,) = tmp_path.glob("caffeflow-*.log")
    assert "Traceback" in log.read_text()


def test_a_missing_extra_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    raising(monkeypatch, ModuleNotFoundError("No module named 'torch'", name="torch"))
    assert main.run(["layers"]) == 2
    assert "pip install 'caffeflow[torch]'" in capsys.readouterr().err


def test_ctrl_c_exits_with_the_code_of_stopped_work(monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, KeyboardInterrupt())
    assert main.run(["layers"]) == 8


def test_unknown_command_is_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["trian"]) == 2
    assert "did you mean 'train'?" in capsys.readouterr().err


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    from caffeflow import __version__

    assert main.run(["--version"]) == 0
    assert __version__ in capsys.readouterr().out


def test_the_program_exits_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    from caffeflow.__main__ import main as program

    monkeypatch.setattr(sys, "argv", ["caffeflow", "nothing"])
    with pytest.raises(SystemExit) as stopped:
        program()
    assert stopped.value.code == 2
