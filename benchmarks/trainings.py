"""The trainings that are timed: data that `prepare` makes of the photos, nets that `render` writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.measure import caffeflow, run_process
from benchmarks.nets import TIMED, TimedNet, with_dummy_data
from benchmarks.page import Settings
from benchmarks.photos import make_photos
from caffeflow.proto.text import format_message, read_net, read_solver
from caffeflow.workflows.render import Request, render_net

TIMED_ITERATIONS: Final = 4
"""The max_iter of the solvers, unless it is overridden."""

# So small that no net comes to where its loss is no number, whatever it is fed with; it costs the same.
_RATE: Final = 1e-6
_FORMS: Final[Mapping[str, tuple[str, ...]]] = {
    "mobilenet-v2": ("--resize", "256x256"),  # JPEGs, as `prepare` makes them of photos
    "cifar10-quick": ("--resize", "32x32"),  # bare pixels
    "lenet": ("--resize", "28x28", "--gray"),
}
_CLASSES: Final = {"mobilenet-v2": 1000, "cifar10-quick": 10, "lenet": 10}


@dataclass(frozen=True, kw_only=True)
class Training:
    """A net with its data.

    Attributes:
        solver: Trains from the LMDB that `prepare` made.
        synthetic: The same, fed with constants.
    """

    timed: TimedNet
    solver: Path
    synthetic: Path


def make_trainings(settings: Settings) -> list[Training]:
    """Prepares data and renders nets for all trainings that are timed, or returns those made before."""
    trainings = []
    for timed in TIMED:
        if timed.name in _FORMS:
            folder = settings.scratch / "trainings" / timed.name
            if not folder.exists():
                _make(timed, folder, settings)
            lmdb, synthetic = (folder / name / "solver.prototxt" for name in ("lmdb", "synthetic"))
            trainings.append(Training(timed=timed, solver=lmdb, synthetic=synthetic))
    return trainings


def _make(timed: TimedNet, folder: Path, settings: Settings) -> None:
    folder.mkdir(parents=True)
    photos = make_photos(24) if settings.is_quick else make_photos()
    classes = _CLASSES[timed.name]
    train = photos.write_list(folder / "train.txt", classes=classes)
    val = photos.write_list(folder / "val.txt", count=20, classes=classes)
    lists = ("--train", train, "--val", val, "--root", photos.root)
    run_process(caffeflow("prepare", "list", *lists, *_FORMS[timed.name], "--out", folder / "data"))

    assignments = {"data.batch_size": str(timed.batch_size), "solver.mode": "CPU"}
    request = Request(
        net=timed.name, data_dir=folder / "data", assignments=assignments, out_dir=folder / "net",
        command="benchmark",
    )  # fmt: skip
    rendered = render_net(request).out_dir
    text = with_dummy_data(
        read_net(rendered / "train_val.prototxt").net, batch_size=timed.batch_size, record=timed.record
    )
    (folder / "synthetic.prototxt").write_text(text)
    _adapt(rendered, folder / "lmdb", net=rendered / "train_val.prototxt")
    _adapt(rendered, folder / "synthetic", net=folder / "synthetic.prototxt")


def _adapt(rendered: Path, folder: Path, *, net: Path) -> None:
    """Writes the solver for iterations alone: no tests, no snapshots, one batch in each."""
    solver = read_solver(rendered / "solver.prototxt")
    for field in ("test_iter", "test_interval", "snapshot", "iter_size"):
        solver.ClearField(field)  # type: ignore[arg-type]
    solver.base_lr = _RATE
    solver.max_iter = TIMED_ITERATIONS
    solver.snapshot_after_train = False
    solver.random_seed = 1
    solver.net = str(net)
    folder.mkdir()
    (folder / "solver.prototxt").write_text(format_message(solver))
