"""What is remembered of the last build, and what is passed over."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.native.remembered import find_remembered_caffe, remember_caffe


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "tree/build/tools/caffe"
    path.parent.mkdir(parents=True)
    path.write_text("")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


def test_the_last_one_built_is_remembered(tmp_path: Path, program: Path) -> None:
    assert find_remembered_caffe() is None
    remember_caffe(tmp_path / "older")
    remember_caffe(program.relative_to(tmp_path))
    assert find_remembered_caffe() == program


def test_without_an_absolute_xdg_folder_it_lies_in_home(
    tmp_path: Path, program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    remember_caffe(program)
    assert (tmp_path / "home/.config/caffeflow/caffe.json").is_file()
    assert find_remembered_caffe() == program


def test_one_that_is_gone_is_passed_over_aloud(program: Path, caplog: pytest.LogCaptureFixture) -> None:
    remember_caffe(program)
    program.unlink()
    assert find_remembered_caffe() is None
    assert f"'{program}', is gone" in caplog.text


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"caffe": 3}'])
def test_a_damaged_note_is_passed_over_aloud(
    config: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (config / "caffeflow").mkdir(parents=True)
    (config / "caffeflow/caffe.json").write_text(text)
    assert find_remembered_caffe() is None
    assert "caffe.json" in caplog.text


def test_a_folder_that_cannot_be_written_is_a_warning(
    config: Path, program: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config.write_text("a file where the folder would be")
    remember_caffe(program)
    assert f"--caffe {program}" in caplog.text
