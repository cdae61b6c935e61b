"""The part for CUDA devices, as far as it goes on the CPU: both sides train, and results are compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.gpu import compare_results, measure_speed
from benchmarks.nets import TIMED
from benchmarks.page import Settings

SMALL = next(replace(timed, batch_size=2) for timed in TIMED if timed.name == "lenet")


@pytest.fixture
def quick(tmp_path: Path) -> Settings:
    return Settings(repeats=1, is_quick=True, caffe=None, scratch=tmp_path)


@pytest.mark.slow
def test_both_sides_train_and_what_does_not_run_is_said(
    quick: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.gpu._MEANS", {"graph": "with a CUDA graph"})
    notes: list[str] = []
    (row,) = measure_speed(SMALL, "bf16", "cpu", quick, notes)
    assert row.what == "lenet, batch 2, bf16"
    assert row.value is not None
    assert len(notes) == 2
    assert all("with a CUDA graph does not run" in note and "cpu" not in note.split(":")[0] for note in notes)


@pytest.mark.slow
def test_results_are_compared_with_those_of_fp32_on_the_cpu(quick: Settings) -> None:
    same, half = compare_results(SMALL, "cpu", quick)
    assert "cpu, fp32 beside the CPU: loss apart by 0.0e+00" in same
    assert "largest 0.0e+00" in same
    assert "cpu, bf16 beside the CPU: loss apart by" in half
    assert "0.0e+00" not in half
