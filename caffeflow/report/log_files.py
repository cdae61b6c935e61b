"""The rows of a log as files: the CSV pair that Caffe's parse_log.py writes, and JSON.

`<log>.train` and `<log>.test` begin with NumIters, Seconds and LearningRate, then one column an
output. Where they differ from parse_log.py's: rows with nan are there; LearningRate is the rate of
the row's own iteration, not the one displayed before it; the smoothed loss is a last column.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any, Final

from caffeflow.report.log import Row, Run

_FIRST_COLUMNS: Final = ("NumIters", "Seconds", "LearningRate")


def csv_files(runs: Sequence[Run], log_name: str) -> dict[str, str]:
    """Returns file names and their text.

    The last run has parse_log.py's names; earlier ones are `<log>.run1.train`, and test nets after
    the first `<log>.test1`.
    """
    files: dict[str, str] = {}
    for number, run in enumerate(runs, start=1):
        stem = log_name if number == len(runs) else f"{log_name}.run{number}"
        files[f"{stem}.train"] = table_csv(run.train, loss_column="SmoothedLoss")
        for test_net in run.test_nets() or [0]:
            suffix = f".test{test_net}" if test_net else ".test"
            files[stem + suffix] = table_csv(run.test_of(test_net), loss_column="TestLoss")
    return files


def table_csv(rows: Sequence[Row], *, loss_column: str) -> str:
    """Returns rows as CSV text; the loss column is left out if no row has one."""
    names = list(dict.fromkeys(name for row in rows for name in row.outputs))
    has_loss = loss_column not in names and any(not math.isnan(row.loss) for row in rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*_FIRST_COLUMNS, *names, *([loss_column] if has_loss else [])])
    for row in rows:
        values = [row.outputs.get(name, "") for name in names]
        loss = [row.loss] if has_loss else []
        writer.writerow([row.iteration, _seconds(row), row.lr, *values, *loss])
    return text.getvalue()


def to_json(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Returns runs as plain values; nan and inf become the words "nan", "inf" and "-inf"."""
    return [
        {
            "net": run.net,
            "started": run.started.isoformat() if run.started else None,
            "resumed_from": run.resumed_from,
            "weights": run.weights,
            "ended": run.ended or None,
            "error": run.error,
            "snapshots": list(run.snapshots),
            "steps": [
                {"policy": s.policy, "iteration": s.iteration, s.what: _plain(s.value)} for s in run.statuses
            ],
            "train": [_row_json(row) for row in run.train],
            "test": [{"test_net": row.test_net, **_row_json(row)} for row in run.test],
        }
        for run in runs
    ]


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "iteration": row.iteration,
        "seconds": _plain(_seconds(row)),
        "lr": _plain(row.lr),
        "loss": _plain(row.loss),
        "outputs": {name: _plain(value) for name, value in row.outputs.items()},
    }


def _seconds(row: Row) -> float:
    return round(row.seconds, 6)


def _plain(value: float) -> float | str:
    # JSON has no word for them, and json.dumps would write ones that other readers refuse.
    return value if math.isfinite(value) else str(value)
