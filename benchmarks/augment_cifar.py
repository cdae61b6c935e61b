"""What augmentation in the feed is worth: few pictures of CIFAR-10, with and without it, at an equal budget.

    python -m benchmarks.augment_cifar JPEGS [--images N] [--iterations N] [--seeds S …] [-- OPTIONS]

JPEGS holds `train/CLASS/*.jpg` and `test/CLASS/*.jpg` of CIFAR-10. Each seed takes N pictures of each class,
and trains mobilenet-v2 with CIFAR's strides on them twice: as its prototxt says, which mirrors, and with the
options after `--` too (`--rand-scale 0.5 1.0`). Everything else is the same, the 10,000 test pictures decide,
once, after the last iteration. Prints Markdown; the train loss is the mean of the last tenth of iterations.
Everything is written into a temporary folder, or the one that --scratch names.

BatchNorm forgets by a tenth an iteration, not by Caffe's thousandth: that would look back on as many
iterations as these trainings have, to weights that are long gone.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.commands import run_command, scratch_folder

_BATCH: Final = 50
_STRIDES: Final = "1,1,2,2,2"  # 32x32 pixels become 4x4 instead of one
_NORM: Final = 'type: "BatchNorm"'
_FORGETTING: Final = "batch_norm_param { moving_average_fraction: 0.9 }"
_DISPLAY: Final = 20


@dataclass(frozen=True)
class Trained:
    """One training: the test's accuracy, and the loss of its last iterations."""

    accuracy: float
    loss: float

    def __str__(self) -> str:
        return f"{self.accuracy:.1%}, train loss {self.loss:.2f}"


def main() -> int:
    """Runs all trainings and prints the table; returns 1 if a seed gained nothing."""
    asked = _arguments()
    jpegs = asked.jpegs.resolve()
    options = asked.options or ["--rand-scale", "0.5", "1.0"]
    began = time.monotonic()
    gains = []
    with scratch_folder(asked.scratch) as folder:
        os.chdir(folder)
        print(
            f"| seed | as the prototxt says | with {' '.join(options)} | gain |\n|---|---|---|---|",
            flush=True,
        )
        for seed in asked.seeds:
            solver = _net(_few(jpegs, seed, asked), seed, asked)
            plain, augmented = _train(solver, seed, "plain"), _train(solver, seed, "augmented", *options)
            gains.append(100 * (augmented.accuracy - plain.accuracy))
            print(f"| {seed} | {plain} | {augmented} | {gains[-1]:+.1f} points |", flush=True)
    print(
        f"\n{asked.images} pictures of each of 10 classes, {asked.iterations} iterations of {_BATCH}"
        f" ({asked.iterations * _BATCH / asked.images / 10:g} epochs), width {asked.width}; mean gain"
        f" {statistics.mean(gains):+.1f} points; {time.monotonic() - began:.0f} s in all"
    )
    return int(min(gains) <= 0)


def _few(jpegs: Path, seed: int, asked: argparse.Namespace) -> Path:
    """Makes the dataset of one seed: few pictures to train on, all test pictures."""
    name = f"few{seed}"
    for label in sorted(path.name for path in (jpegs / "train").iterdir()):
        pictures = sorted((jpegs / "train" / label).iterdir())
        _link(random.Random(f"{seed} {label}").sample(pictures, asked.images), Path(name, "train", label))
        _link(sorted((jpegs / "test" / label).iterdir())[: asked.tests], Path(name, "val", label))
    run_command("prepare", "folder", name, "--name", name, "--workers", "1")
    return Path("data", name)


def _net(data: Path, seed: int, asked: argparse.Namespace) -> Path:
    """Renders the net of one seed and returns its solver."""
    out = Path("models", f"seed{seed}")
    count = str(asked.iterations)
    rate = ["--solver", "SGD", "--base-lr", "0.05", "--lr-policy", "poly"]
    size = ["--input-size", "32", "--width", str(asked.width), "--set", f"net.strides={_STRIDES}"]
    budget = ["--batch-size", str(_BATCH), "--max-iter", count, "--test-interval", count]
    fixed = ["--test-batch-size", "100", "--display", str(_DISPLAY), "--cpu"]
    words = [*size, *rate, *budget, *fixed, "--set", "test_initialization=false"]
    run_command("render", "mobilenet-v2", "--data", str(data), "--out", str(out), *words)
    net = out / "train_val.prototxt"
    net.write_text(net.read_text().replace(_NORM, f"{_NORM} {_FORGETTING}"))
    return out / "solver.prototxt"


def _train(solver: Path, seed: int, name: str, *options: str) -> Trained:
    folder = Path("runs", f"{name}{seed}")
    words = ["--solver", str(solver), "--seed", str(seed), "--out", str(folder)]
    done = run_command("train", *words, *options)
    with (folder / "metrics.csv").open(newline="") as rows:
        losses = [float(row["train loss"]) for row in csv.DictReader(rows) if row["train loss"]]
    last = losses[-max(1, len(losses) // 10) :]
    return Trained(float(done["results"]["test accuracy"]["last"]), statistics.mean(last))


def _link(pictures: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for picture in pictures:
        (folder / picture.name).symlink_to(picture)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("jpegs", type=Path)
    parser.add_argument("--images", type=int, default=200, help="of each class to train on")
    parser.add_argument("--tests", type=int, help="of each class to test on [default: all]")
    parser.add_argument("--iterations", type=int, default=1000, help="of each training")
    parser.add_argument("--width", type=float, default=0.35, help="of the net")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--scratch", type=Path, help="a folder to make and keep")
    parser.add_argument("options", nargs="*", help="of train, after --")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
