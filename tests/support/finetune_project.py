"""A folder with a small dataset of pictures, and caffemodels for the nets that are fine-tuned on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from caffeflow.cli.main import run


def make_pictures(root: Path, *, classes: int, side: int = 17, train: int = 5, val: int = 2) -> None:
    """Writes random pictures in folders of splits and classes."""
    rng = np.random.default_rng(11)
    for split, count in (("train", train), ("val", val)):
        for label in range(classes):
            folder = root / split / f"kind{label}"
            folder.mkdir(parents=True)
            for number in range(count):
                picture = rng.integers(0, 256, (side, side, 3), np.uint8)
                cv2.imwrite(str(folder / f"{number}.png"), picture)


def make_dataset(name: str, *, classes: int, side: int = 17, backend: str = "lmdb") -> Path:
    """Makes `data/NAME` in the working folder."""
    make_pictures(Path(name), classes=classes, side=side)
    assert run(["prepare", "folder", name, "--name", name, "--backend", backend, "--workers", "1"]) == 0
    return Path("data", name).resolve()


def first_weights(net: str, out: str, *more: str) -> Path:
    """Writes the weights that a net begins with, in place of trained ones."""
    assert run(["weights", "init", net, "--out", out, *more]) == 0
    return Path(out)


def finetune(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, Any]:
    """Runs `caffeflow finetune … --json` and returns what it printed."""
    capsys.readouterr()
    ended = run(["finetune", *words, "--json"])
    printed = capsys.readouterr()
    assert ended == code, printed.err
    answer: dict[str, Any] = json.loads(printed.out)
    return answer | {"stderr": printed.err}
