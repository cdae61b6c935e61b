"""For benchmarks made of whole commands: runs them in this process, in a folder of its own."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from caffeflow.cli.main import run


def run_command(verb: str, *words: str) -> dict[str, Any]:
    """Runs a command and returns its JSON.

    Raises:
        SystemExit: It failed; says how.
    """
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([verb, *words, "--json"])
    if code:
        raise SystemExit(f"caffeflow {verb} {' '.join(words)} ended with {code}:\n{err.getvalue()[-2000:]}")
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


@contextlib.contextmanager
def scratch_folder(given: Path | None) -> Iterator[Path]:
    """Yields a folder that is made and kept, or without one a temporary folder."""
    if given is not None:
        given.mkdir(parents=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="caffeflow-benchmark-") as made:
        yield Path(made)
