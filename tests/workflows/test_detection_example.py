"""`examples/detection/run.sh`, with fewer scenes and iterations than `make demo-detection`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import cv2
import pytest

from caffeflow import system

SCRIPT = Path(__file__).parents[2] / "examples" / "detection" / "run.sh"


@pytest.mark.slow
def test_digits_are_found_in_scenes_after_half_a_minute(tmp_path: Path) -> None:
    small = {"TRAINED": "400", "TESTED": "40", "ITERATIONS": "200", "EXPECTED": "0.4"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = system.run(["bash", SCRIPT, tmp_path / "demo"], env={**os.environ, **small, "PATH": path})
    assert done.returncode == 0, done.output[-3000:]
    assert "mean average precision 0." in done.output
    pictures = sorted((tmp_path / "demo" / "pictures").iterdir())
    assert len(pictures) == 10
    original = cv2.imread(str(tmp_path / "demo" / "scenes" / "JPEGImages" / pictures[0].name))
    assert (cv2.imread(str(pictures[0])) != original).any()
