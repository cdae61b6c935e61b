"""`examples/finetune/run.sh` as it stands."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from caffeflow import system

SCRIPT = Path(__file__).parents[2] / "examples" / "finetune" / "run.sh"


@pytest.mark.slow
def test_digits_are_learned_from_eight_pictures_of_each(tmp_path: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = system.run(["bash", SCRIPT, tmp_path / "demo"], env={**os.environ, "PATH": path})
    assert done.returncode == 0, done.output[-3000:]
    assert "renamed: ip2 -> ip2_few" in done.output
    assert "copied conv1, conv2, ip1; new ip2_few" in done.output
