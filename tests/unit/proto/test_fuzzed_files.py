"""Every target of the fuzzer for a moment, with the same inputs in each run; `make fuzz` runs them longer."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from tests.support.fuzz import targets
from tests.support.fuzz.run import run_target

SECONDS = 1.2


def test_every_kind_of_file_is_fuzzed() -> None:
    folder = Path(targets.__file__).parent
    families = [import_module(f"tests.support.fuzz.{path.stem}") for path in sorted(folder.glob("*.py"))]
    found = [target.name for family in families for target in getattr(family, "TARGETS", ())]
    assert sorted(found) == sorted(targets.NAMES)
    assert len(found) == 20


@pytest.mark.parametrize("name", targets.NAMES)
def test_what_is_damaged_is_read_or_refused_in_our_words(name: str) -> None:
    outcome = run_target(name, seconds=SECONDS, first_seed=6, patience_s=120.0)
    assert not outcome.failed, outcome.report
    assert int(outcome.report.split()[0]) > 0
