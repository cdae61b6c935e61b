"""Where the result of a test is kept: in the folder of the run that made the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from caffeflow.files import write_text
from caffeflow.workflows.run_folder import RECORD_NAME, RUNS, read_record

TESTS: Final = "tests"


def keep_result(result: Mapping[str, Any], weights: Path, *, runs: Path = RUNS) -> Path | None:
    """Writes the result of a test into the run that made the weights; None if there is no such run."""
    run = find_run(weights, runs=runs)
    if run is None:
        return None
    path = run / TESTS / f"{weights.stem}.{Path(result['source']).stem}.json"
    path.parent.mkdir(exist_ok=True)
    write_text(path, json.dumps(result, indent=2) + "\n")
    return path


def find_run(weights: Path, *, runs: Path = RUNS) -> Path | None:
    """Returns the run folder that weights lie in, or whose training wrote them where its solver says."""
    for folder in weights.resolve().parents:
        if (folder / RECORD_NAME).exists():
            return folder
    for record_path in sorted(runs.glob(f"*/{RECORD_NAME}")):
        if _has_written(read_record(record_path.parent), weights):
            return record_path.parent
    return None


def _has_written(record: Mapping[str, Any], weights: Path) -> bool:
    """Tells whether a run was at work, for a net in the weights' folder, when they were written."""
    model = Path(record.get("solver_path", "")).parent
    if not weights.resolve().is_relative_to(model) or not record.get("finished"):
        return False
    written = weights.stat().st_mtime
    begun, ended = (datetime.fromisoformat(record[field]).timestamp() for field in ("started", "finished"))
    return begun - 1 <= written <= ended + 1  # both are kept in whole seconds
