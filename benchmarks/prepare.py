"""Part `prepare`: full-size JPEGs to 256x256, beside convert_imageset and beside decoding alone.

All sides read the same files by the same list out of the page cache, and write to the same disk.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.caffe_peer import convert_seconds
from benchmarks.measure import Sample, caffeflow, run_module, run_process, settle, take_turns
from benchmarks.page import Goal, Row, Section, Settings
from benchmarks.photos import Photos, make_photos
from tests.support.native import NativeCaffe

TITLE: Final = "prepare: full-size JPEGs to 256x256"
SIDE: Final = 256
_GOALS: Final = {"raw": Goal(at_least=2.5), "jpg": Goal(at_least=2)}
_DECODING_GOALS: Final = {"raw": Goal(at_least=0.7), "jpg": None}  # jpg also encodes, and decodes that again
_TIMES: Final = 8  # that each photo is listed: enough work that the process's start matters little
_PEERS: Final = {"convert": "convert_imageset", "both": "… and compute_image_mean"}
PEER_FLAGS: Final[dict[str, tuple[str, ...]]] = {"raw": (), "jpg": ("-encoded", "-encode_type=jpg")}


@dataclass(frozen=True, kw_only=True)
class Task:
    """What every side is given: the list names `count` pictures below `photos.root`."""

    photos: Photos
    listing: Path
    count: int
    scratch: Path

    def fresh(self, name: str) -> Path:
        """Returns a path where nothing is, after all that was written before has reached the disk."""
        path = self.scratch / name
        shutil.rmtree(path, ignore_errors=True)
        settle()
        return path


def measure(settings: Settings) -> Section:
    """Measures both encodings."""
    task = _make_task(settings)
    rows = []
    for encode in ("raw", "jpg"):
        samples = take_turns(_sides(task, encode, settings.caffe), repeats=settings.repeats)
        if settings.caffe is not None:
            pairs = zip(samples["convert"].values, samples["mean"].values, strict=True)
            samples["both"] = Sample(tuple(map(sum, pairs)))
        rows += _rows(encode, {name: _rate(sample, task) for name, sample in samples.items()})
    notes = [
        f"{task.count} images: {len(task.photos.names)} made JPEGs of about 500x375 with"
        f" {task.photos.mean_kilobytes:.0f} KB each, listed {task.count // len(task.photos.names)} times.",
        "Ours also sums the mean image, digests every record, and decodes each JPEG that it has written, for"
        " the mean; convert_imageset does none of it, so its time is shown with compute_image_mean's too.",
        "The whole process is what a user waits for, with the interpreter's start; the library's rate is that"
        " of the build alone. Decoding alone reads and decodes with OpenCV, in as many threads.",
    ]
    if settings.caffe is None:
        notes.append("There is no real Caffe on this machine: nothing is compared with convert_imageset.")
    return Section(title=TITLE, value_is="times as fast", rows=rows, notes=notes)


def _make_task(settings: Settings) -> Task:
    photos, times = (make_photos(24), 2) if settings.is_quick else (make_photos(), _TIMES)
    listing = photos.write_list(settings.scratch / "list.txt", times=times)
    for name in photos.names:  # into the page cache
        (photos.root / name).read_bytes()
    return Task(photos=photos, listing=listing, count=len(photos.names) * times, scratch=settings.scratch)


def _sides(task: Task, encode: str, caffe: NativeCaffe | None) -> dict[str, Callable[[], float]]:
    sides: dict[str, Callable[[], float]] = {
        "process": partial(_whole_process, task, encode),
        "library": partial(_library, task, encode),
        "decoding": partial(_decoding, task),
    }
    if caffe is not None:
        sides["convert"] = partial(_convert, task, encode, caffe)
        sides["mean"] = partial(_mean, task, caffe)
    return sides


def prepare_command(photos: Photos, listing: Path, out: Path, encode: str) -> list[str | Path]:
    """Returns the command that prepares a list."""
    form = ["--resize", f"{SIDE}x{SIDE}", "--encode", encode, "--no-shuffle"]
    return caffeflow("prepare", "list", "--train", listing, "--root", photos.root, *form, "--out", out)


def _whole_process(task: Task, encode: str) -> float:
    out = task.fresh("ours")
    return run_process(prepare_command(task.photos, task.listing, out, encode)).seconds


def _library(task: Task, encode: str) -> float:
    out = task.fresh("ours")
    return float(run_module("benchmarks.prepare_child", "build", task.listing, task.photos.root, encode, out))


def _decoding(task: Task) -> float:
    settle()
    return float(run_module("benchmarks.prepare_child", "decode", task.listing, task.photos.root))


def _convert(task: Task, encode: str, caffe: NativeCaffe) -> float:
    out = task.fresh("theirs")
    flags = (f"-resize_height={SIDE}", f"-resize_width={SIDE}", *PEER_FLAGS[encode])
    return convert_seconds(caffe, root=task.photos.root, listing=task.listing, out=out, flags=flags)


def _mean(task: Task, caffe: NativeCaffe) -> float:
    """Returns how long compute_image_mean takes for the LMDB that convert_imageset wrote last."""
    start = time.perf_counter()
    caffe.run("compute_image_mean", task.scratch / "theirs", task.scratch / "mean.binaryproto")
    return time.perf_counter() - start


def _rate(seconds: Sample, task: Task) -> Sample:
    return Sample(tuple(task.count / value for value in seconds.values))


def _rows(encode: str, rates: dict[str, Sample]) -> list[Row]:
    process, library, decoding = (rates[name].show("images/s") for name in ("process", "library", "decoding"))
    rows = []
    for side, shown, name in (("process", process, "whole process"), ("library", library, "library")):
        for peer, words in _PEERS.items():
            if peer in rates:
                rows.append(Row(
                    what=f"{encode}, {name}", ours=shown, peer=words, theirs=rates[peer].show("images/s"),
                    value=rates[side].median / rates[peer].median,
                    goal=_GOALS[encode] if (side, peer) == ("process", "convert") else None,
                ))  # fmt: skip
    rows.append(Row(
        what=f"{encode}, library", ours=library, peer="decoding alone", theirs=decoding,
        value=rates["library"].median / rates["decoding"].median, goal=_DECODING_GOALS[encode],
    ))  # fmt: skip
    return rows
