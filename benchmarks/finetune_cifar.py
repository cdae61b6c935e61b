"""What fine-tuning is worth: half of CIFAR-10's classes first, then few pictures of the other half.

    python -m benchmarks.finetune_cifar JPEGS [--images N] [--iterations N] [--pretrain N] [--seeds N]

JPEGS holds `train/CLASS/*.jpg` and `test/CLASS/*.jpg` of CIFAR-10. cifar10-quick is trained on five
classes. Each seed then takes N pictures of each of the other five, and trains on them twice for the same
number of iterations and the same pictures a batch: begun from those weights by `finetune`, and from its
fillers by `render`, at the better of three learning rates (judged by the test images: that favours it).
Prints Markdown; everything is written into a temporary folder, or the one that --scratch names.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.commands import run_command, scratch_folder

KNOWN: Final = ("airplane", "automobile", "bird", "cat", "deer")
OTHER: Final = ("dog", "frog", "horse", "ship", "truck")
SCRATCH_RATES: Final = (0.001, 0.003, 0.01)
_BATCH: Final = 50
_NET: Final = "cifar10-quick"


def main() -> int:
    """Runs all trainings and prints the table; returns 1 if the gain is below 10 points."""
    asked = _arguments()
    jpegs = asked.jpegs.resolve()
    began = time.monotonic()
    with scratch_folder(asked.scratch) as folder:
        os.chdir(folder)
        weights = _pretrain(jpegs, asked)
        gains = []
        print(f"| seed | from scratch, rate {', '.join(map(str, SCRATCH_RATES))} | finetune | gain |")
        print("|---|---|---|---|")
        for seed in range(asked.seeds):
            data = _few(jpegs, seed, asked)
            tuned, table = _finetuned(data, weights, seed, asked)
            scratch = [_scratch(data, rate, seed, asked) for rate in SCRATCH_RATES]
            gains.append(tuned - max(scratch))
            shown = ", ".join(f"{each:.1%}" for each in scratch)
            print(f"| {seed} | {shown} | {tuned:.1%} | {100 * gains[-1]:+.1f} points |", flush=True)
    print(f"\nlayers: {table}")
    print(
        f"{asked.images} pictures of each of {len(OTHER)} classes, {asked.iterations} iterations of {_BATCH},"
        f" after {asked.pretrain} on the other {len(KNOWN)} classes; mean gain"
        f" {100 * statistics.mean(gains):+.1f} points, least {100 * min(gains):+.1f};"
        f" {time.monotonic() - began:.0f} s in all"
    )
    return int(min(gains) < 0.1)


def _pretrain(jpegs: Path, asked: argparse.Namespace) -> Path:
    _link(jpegs / "train", Path("known/train"), KNOWN)
    _link(jpegs / "test", Path("known/val"), KNOWN)
    run_command("prepare", "folder", "known", "--name", "known", "--workers", "1")
    words = ["--data", "data/known", "--max-iter", str(asked.pretrain), "--display", "100", "--cpu"]
    run_command("render", _NET, *words, "--test-interval", str(asked.pretrain), "--out", "models/known")
    done = run_command("train", "--solver", "models/known/solver.prototxt", "--seed", "0")
    print(f"pretrained: {_accuracy(done):.1%} on {len(KNOWN)} classes\n", flush=True)
    return Path(done["weights"])


def _few(jpegs: Path, seed: int, asked: argparse.Namespace) -> Path:
    """Makes the dataset of one seed: few pictures to train on, all test pictures of those classes."""
    name = f"few{seed}"
    _link(jpegs / "train", Path(name, "train"), OTHER, images=asked.images, seed=seed)
    _link(jpegs / "test", Path(name, "val"), OTHER)
    run_command("prepare", "folder", name, "--name", name, "--workers", "1")
    return Path("data", name)


def _finetuned(data: Path, weights: Path, seed: int, asked: argparse.Namespace) -> tuple[float, str]:
    out = f"models/tuned{seed}"
    words = ["--from", _NET, "--weights", str(weights), "--data", str(data), "--name", "other", "--out", out]
    report = run_command("finetune", *words, *_budget(asked), "--stepsize", str(asked.iterations * 2 // 3))
    states = {layer["layer"]: layer["state"] for layer in report["layers"]}
    done = run_command("train", "--solver", f"{out}/solver.prototxt", "--seed", str(seed))
    return _accuracy(done), ", ".join(f"{name} {state}" for name, state in states.items())


def _scratch(data: Path, rate: float, seed: int, asked: argparse.Namespace) -> float:
    out = f"models/scratch{seed}-{rate}"
    words = ["--data", str(data), "--base-lr", str(rate), "--out", out]
    run_command("render", _NET, *words, *_budget(asked))
    return _accuracy(run_command("train", "--solver", f"{out}/solver.prototxt", "--seed", str(seed)))


def _budget(asked: argparse.Namespace) -> list[str]:
    count = str(asked.iterations)
    fixed = ["--batch-size", str(_BATCH), "--display", "0", "--cpu", "--set", "test_initialization=false"]
    return ["--max-iter", count, "--test-interval", count, *fixed]


def _accuracy(training: dict[str, Any]) -> float:
    return float(training["results"]["test accuracy"]["last"])


def _link(source: Path, target: Path, classes: Sequence[str], *, images: int = 0, seed: int = 0) -> None:
    """Links pictures of some classes into a folder: all, or so many of each drawn by the seed."""
    for label in classes:
        pictures = sorted((source / label).iterdir())
        if images:
            pictures = random.Random(f"{seed} {label}").sample(pictures, images)
        (target / label).mkdir(parents=True)
        for picture in pictures:
            (target / label / picture.name).symlink_to(picture)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("jpegs", type=Path)
    parser.add_argument("--images", type=int, default=20, help="of each class to train on")
    parser.add_argument("--iterations", type=int, default=100, help="of the trainings that are compared")
    parser.add_argument("--pretrain", type=int, default=1000, help="iterations on the first five classes")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scratch", type=Path, help="a folder to make and keep")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
