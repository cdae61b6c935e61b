"""How far runs drift apart by rounding alone: the real Caffe beside itself, and ours beside it.

    python -m benchmarks.drift

Prints the table of docs/parity.md. All runs of a net begin with the same caffemodel and read the same
records; Caffe runs with one and with two BLAS threads, which changes the order of its sums and nothing
else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from tests.support.native import NativeCaffe, find_native_caffe, why_missing
from tests.support.native_nets import SMOOTH_NET, make_digits, make_textures, render
from tests.support.native_ours import train_ours, write_initial_weights
from tests.support.native_training import adapt_solver, train, write_solver

ITERATIONS = 100
MARKS = (10, 20, 50, 100)
SMOOTH_FIELDS = f"base_lr: 0.01 momentum: 0.9 lr_policy: 'fixed' display: 1 max_iter: {ITERATIONS}"


def main() -> None:
    """Runs everything and prints the table."""
    caffe = find_native_caffe()
    if caffe is None:
        print(why_missing())
        return
    torch.set_num_threads(1)
    print("| net | pair | " + " | ".join(f"first {mark}" for mark in MARKS) + " |")
    print("|---|---|" + "---|" * len(MARKS))
    with tempfile.TemporaryDirectory() as folder:
        for name, solver in _solvers(Path(folder)):
            for pair, differences in _compare(caffe, solver):
                shown = " | ".join(f"{max(differences[:mark]):.0e}" for mark in MARKS)
                print(f"| {name} | {pair} | {shown} |", flush=True)


def _solvers(folder: Path) -> Iterator[tuple[str, Path]]:
    digits = make_digits(folder / "digits")
    net = folder / "smooth.prototxt"
    net.write_text(SMOOTH_NET.format(dataset=digits))
    yield "smooth twin", write_solver(folder / "smooth" / "solver.prototxt", net=net, fields=SMOOTH_FIELDS)
    yield "lenet", _adapted(render("lenet", data=digits, out=folder / "lenet"))
    textures = make_textures(folder / "textures", side=32, per_class=150)
    yield "cifar10-quick", _adapted(render("cifar10-quick", data=textures, out=folder / "cifar10-quick"))
    larger = make_textures(folder / "larger", side=64, per_class=30)
    mobilenet = render(
        "mobilenet-v2", data=larger, out=folder / "mobilenet-v2", data__batch_size="8", net__input_size="64"
    )
    yield "mobilenet-v2, 64x64, batch 8, base_lr 0.01", _adapted(mobilenet, base_lr=0.01)


def _adapted(rendered: Path, **changes: float) -> Path:
    return adapt_solver(
        rendered / "solver.prototxt", rendered / "drift" / "solver.prototxt",
        display=1, average_loss=None, snapshot=None, max_iter=ITERATIONS, **changes,
    )  # fmt: skip


def _compare(caffe: NativeCaffe, solver: Path) -> Iterator[tuple[str, list[float]]]:
    weights = solver.with_name("initial.caffemodel")
    write_initial_weights(solver, weights)
    one, two = (train(caffe, solver, f"-weights={weights}", threads=count).losses for count in (1, 2))
    ours, _ = train_ours(solver, iterations=ITERATIONS, weights=weights)
    reference = [one[n] for n in range(ITERATIONS)]
    yield "Caffe, 1 and 2 BLAS threads", _differences(reference, [two[n] for n in range(ITERATIONS)])
    yield "Caffe and caffeflow", _differences(reference, ours)


def _differences(reference: Sequence[float], others: Sequence[float]) -> list[float]:
    return [abs(a - b) / abs(a) for a, b in zip(reference, others, strict=True)]


if __name__ == "__main__":
    main()
