"""The real binary learns from a dataset with changed copies, where `--engine caffe` takes no option for them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffeflow.cli.main import run
from tests.support.native import NativeCaffe

pytestmark = pytest.mark.native


def write_shapes(folder: Path, *, count: int) -> None:
    """Writes pictures of disks and crosses somewhere on a field of any shade, 28x28."""
    rng = np.random.default_rng(2)
    for label, name in enumerate(("cross", "disk")):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            picture = np.full((28, 28, 3), rng.integers(0, 100), np.uint8)
            at = tuple(rng.integers(10, 18, 2).tolist())
            colour = rng.integers(150, 256, 3).tolist()
            if label:
                cv2.circle(picture, at, 6, colour, -1)
            else:
                cv2.drawMarker(picture, at, colour, cv2.MARKER_CROSS, 13, 2)
            cv2.imwrite(str(folder / name / f"{number}.png"), picture)


def test_the_binary_trains_on_images_and_their_copies(
    caffe: NativeCaffe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_shapes(Path("shapes"), count=20)
    asked = ["--augment", "crop", "--rand-scale", "0.6", "1", "--color-jitter"]
    copies = ["--augment-copies", "3", "--val-fraction", "0.25"]
    assert run(["prepare", "folder", "shapes", *asked, *copies]) == 0
    assert json.loads(Path("data/folder/dataset.json").read_text())["splits"]["train"]["count"] == 4 * 30
    assert run(["render", "lenet", "--max-iter", "60", "--batch-size", "20", "--test-interval", "60"]) == 0
    native = ["--engine", "caffe", "--caffe", str(caffe.tool("caffe"))]
    assert run(["train", *native, *asked]) == 2
    assert "--augment crop --rand-scale 0.6 1 --color-jitter 0.4: Caffe's" in capsys.readouterr().err
    assert run(["train", *native, "--device", "cpu", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert done["results"]["test accuracy"]["last"] > 0.85
