"""Whole commands in the process of a benchmark: their JSON, or why they failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.commands import run_command, scratch_folder


def test_a_command_gives_its_json() -> None:
    assert run_command("layers", "ReLU")["type"] == "ReLU"


def test_a_command_that_fails_says_how() -> None:
    with pytest.raises(SystemExit, match=r"caffeflow layers ReLUU ended with 4:(.|\n)*did you mean 'ReLU'"):
        run_command("layers", "ReLUU")


def test_a_folder_that_is_named_is_kept(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "kept") as kept, scratch_folder(None) as passing:
        assert kept.is_dir()
        assert passing.is_dir()
    assert kept == tmp_path / "kept"
    assert kept.is_dir()
    assert not passing.exists()
