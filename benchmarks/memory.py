"""Part `memory`: the largest resident set of `prepare` and `train`, beside the real Caffe's."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.measure import caffeflow, run_process, take_turns
from benchmarks.page import Row, Section, Settings
from benchmarks.photos import make_photos
from benchmarks.prepare import PEER_FLAGS, SIDE, prepare_command
from benchmarks.trainings import TIMED_ITERATIONS, Training, make_trainings
from tests.support.native import NativeCaffe, environment

TITLE: Final = "memory: the largest resident set"
_MIB: Final = 1 / 2**20
_MOST_REPEATS: Final = 2  # it hardly varies
_NOTES: Final = (
    "As the system reports it when the process ends, so pages of a mapped LMDB count, on both sides.",
    f"Trainings do {TIMED_ITERATIONS} iterations from the LMDB that prepare made.",
)


def measure(settings: Settings) -> Section:
    """Measures both commands."""
    rows = [_prepare(encode, settings) for encode in ("raw", "jpg")]
    rows += [_train(training, settings) for training in make_trainings(settings)]
    return Section(title=TITLE, value_is="times theirs", rows=rows, notes=list(_NOTES))


def _prepare(encode: str, settings: Settings) -> Row:
    photos = make_photos(24) if settings.is_quick else make_photos()
    listing = photos.write_list(settings.scratch / "memory.txt")
    ours, theirs = settings.scratch / "ours", settings.scratch / "theirs"
    sides = {"ours": partial(_peak, prepare_command(photos, listing, ours, encode), out=ours)}
    if settings.caffe is not None:
        sizes = (f"-resize_height={SIDE}", f"-resize_width={SIDE}")
        words = [*sizes, *PEER_FLAGS[encode], f"{photos.root}/", listing, theirs]
        sides["theirs"] = partial(_peer_peak, settings.caffe, "convert_imageset", words, out=theirs)
    return _row(f"prepare, {len(photos.names)} photos, {encode}", sides, "convert_imageset", settings)


def _train(training: Training, settings: Settings) -> Row:
    out = settings.scratch / "run"
    words = caffeflow("train", "--solver", training.solver, "--out", out, "--device", "cpu")
    sides = {"ours": partial(_peak, words, out=out)}
    if settings.caffe is not None:
        peer = ["train", f"-solver={training.solver}"]
        sides["theirs"] = partial(_peer_peak, settings.caffe, "caffe", peer, out=out)
    timed = training.timed
    return _row(f"train, {timed.name}, batch {timed.batch_size}", sides, "caffe train", settings)


def _peak(command: Sequence[str | Path], *, out: Path, env: Mapping[str, str] | None = None) -> float:
    shutil.rmtree(out, ignore_errors=True)
    return run_process(command, env=env).peak_bytes


def _peer_peak(caffe: NativeCaffe, tool: str, words: Sequence[str | Path], *, out: Path) -> float:
    return _peak([caffe.tool(tool), *words], out=out, env=environment(threads=2))


def _row(what: str, sides: Mapping[str, Callable[[], float]], peer: str, settings: Settings) -> Row:
    samples = take_turns(sides, repeats=min(settings.repeats, _MOST_REPEATS))
    ours = samples["ours"]
    if "theirs" not in samples:
        return Row(what=what, ours=ours.show("MiB", scale=_MIB))
    theirs = samples["theirs"]
    return Row(
        what=what, ours=ours.show("MiB", scale=_MIB), peer=peer, theirs=theirs.show("MiB", scale=_MIB),
        value=ours.median / theirs.median,
    )  # fmt: skip
