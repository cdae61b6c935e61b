"""`caffeflow test`: every record of a split once, the last batch smaller if need be.

Caffe's own test takes test_iter batches, goes around the corner of the data, and weighs all batches
alike; `--like-caffe` does so too, for comparison (see `test_like_caffe`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from caffeflow import __version__
from caffeflow.engine.device import choose_device, describe_device
from caffeflow.engine.feed.opening import open_feed
from caffeflow.engine.feed.sources import record_count, record_shape
from caffeflow.engine.net import Net
from caffeflow.engine.snapshot_formats import shared_blobs
from caffeflow.engine.training import Feeds, FusedExecutor
from caffeflow.errors import DataError, UsageError, WeightsError
from caffeflow.layers.params import dims
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.workflows.preflight import preflight
from caffeflow.workflows.preflight_findings import Flight
from caffeflow.workflows.test_data import DataSettings, batch_size_of, source_of
from caffeflow.workflows.test_detection import DetectionFigures, DetectionSettings
from caffeflow.workflows.test_detection_net import with_data, without_scores
from caffeflow.workflows.test_figures import TestFigures
from caffeflow.workflows.test_keeping import keep_result
from caffeflow.workflows.test_subject import Subject, find_net, find_subject, find_weights
from caffeflow.workflows.weights_into_net import load_into, not_finite


@dataclass(frozen=True, kw_only=True)
class TestSettings:
    """What the user asks for.

    Attributes:
        net: A prototxt, a folder, or a name under models/; None: the only one there.
        weights: A caffemodel; None: the net's newest.
        data: About the records.
        detection: About the scores of a net that finds boxes.
        device: `auto`, `cpu` or `cuda`.
    """

    __test__ = False  # no test, whatever its name begins with

    net: str | None = None
    weights: Path | None = None
    data: DataSettings = field(default_factory=DataSettings)
    detection: DetectionSettings = field(default_factory=DetectionSettings)
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A net with its weights, ready to be tested.

    Attributes:
        weights: The file that they are from.
        executor: Runs the net; returns the scores beside its outputs.
    """

    subject: Subject
    weights: Path
    executor: FusedExecutor

    def feeds(self, tops: tuple[Any, ...]) -> Feeds:
        """Returns a batch as the executor takes it.

        Raises:
            DataError: A deploy net takes images of another size.
        """
        if not self.subject.is_deploy:
            return {self.subject.data.name: tops}
        net = self.executor.net
        expected, found = net.shapes.tops[net.graph.last(self.subject.data.top[0])][1:], tops[0].shape[1:]
        if found != expected:
            records = f"{source_of(self.subject.data)}: records are {dims(found)} when they come to the net"
            raise DataError(f"{records}, but the Input of {self.subject.path} takes {dims(expected)}")
        return {self.subject.data.name: tops[:1]}


def score_net(
    settings: TestSettings, *, note: Callable[[str], None], on_progress: Callable[[int, int], None]
) -> dict[str, Any]:
    """Tests a net on every record of its data once, and returns the figures, as JSON has them.

    Args:
        settings: What is asked for.
        note: Gets sentences on what was decided or found.
        on_progress: Gets the number of records done, and of all.

    Raises:
        UsageError: The net is not named, or options do not fit it.
        NetError: The net cannot be tested.
        DataError: Records or labels that do not fit the net.
        WeightsError: Weights that do not fit the net, or none.
        CheckError: The net's scores are no numbers.
    """
    bench = open_bench(settings, note)
    _check_ends(bench.subject)
    figures = _figures(bench, settings)
    count = record_count(bench.subject.data)
    started = time.monotonic()
    with closing(open_feed(bench.subject.data, phase="TEST", seed=0)) as feed:
        while figures.seen < count:
            tops = figures.first(feed.next(), count - figures.seen)
            figures.check(tops)
            figures.add(bench.executor.forward(bench.feeds(tops)), tops)
            on_progress(figures.seen, count)
    seconds = time.monotonic() - started
    result = {
        "net": str(bench.subject.path),
        "weights": str(bench.weights),
        "source": str(source_of(bench.subject.data)),
        **figures.result(bench.weights),
        "batch_size": batch_size_of(bench.subject.data),
        "images_per_second": count / max(seconds, 1e-9),
        "device": describe_device(bench.executor.net.device),
        "precision": settings.precision,
        "caffeflow": __version__,
    }
    kept = keep_result(result, bench.weights)
    if kept is not None:
        note(f"result kept as {kept}")
    return result


def open_bench(
    settings: TestSettings, note: Callable[[str], None], *, solver: SolverParameter | None = None
) -> Bench:
    """Returns the net with its weights; see `score_net` for what may be wrong.

    Args:
        settings: What is asked for.
        note: Gets sentences on what was decided or found.
        solver: For a test in passes, as a solver does it: the net stays whole then. Otherwise scores of
            boxes are not left to the net.
    """
    device = choose_device(settings.device)
    path = find_net(settings.net)
    subject = find_subject(path, settings.data, note)
    weights = settings.weights or find_weights(path)
    role = subject.role
    if subject.detections is not None:
        role = role if solver is not None else without_scores(role, note)
        preflight(Flight(roles=[with_data(role, subject.data)], solver=solver), note)
    net = Net.of(role, record_shape=record_shape, seed=None, device=device)
    load_weights(net, weights, path, note)
    keep = [blob for blob in (subject.scores, subject.detections) if blob is not None]
    executor = FusedExecutor(net, precision=settings.precision, keep=keep)
    return Bench(subject=subject, weights=weights, executor=executor)


def load_weights(net: Net, weights: Path, path: Path, note: Callable[[str], None]) -> None:
    """Copies weights into a net, all of whose layers must get theirs.

    Args:
        net: The net.
        weights: A caffemodel.
        path: The net's file, for messages.
        note: Gets sentences on what was copied.

    Raises:
        WeightsError: The file cannot be read, does not fit, or lacks a layer.
    """
    plan = load_into(net.load, weights, net=str(path), shared=shared_blobs(net))
    note(f"weights: {weights} (layers copied: {len(plan.copied)})")
    if bad := not_finite(plan):
        note(f"weights: values that are nan or infinite in {bad}")
    if plan.skipped:
        note(f"weights: not in this net, so left out: {', '.join(plan.skipped)}")
    if plan.new:
        raise WeightsError(
            f"{weights}: has nothing for {_quoted(plan.new)} of {path}; weights go by layer name: give those"
            f" that were trained with this net; all in a table: caffeflow weights diff {weights} {path}"
        )


def _check_ends(subject: Subject) -> None:
    """Refuses what has no records to take once each."""
    if subject.data.type == "WindowData":
        raise UsageError(
            f"layer '{subject.data.name}' of {subject.path} is of type WindowData, which draws windows at"
            " random without end; test a number of batches with: --like-caffe --iterations N"
        )


def _figures(bench: Bench, settings: TestSettings) -> TestFigures | DetectionFigures:
    subject = bench.subject
    if subject.detections is not None:
        return DetectionFigures(
            subject.role.net,
            subject.data,
            subject.path,
            blob=subject.detections,
            settings=settings.detection,
        )
    if settings.detection.is_asked:
        raise UsageError(
            f"{subject.path} finds no boxes (it has no DetectionOutput), so it takes no --ap, --results or"
            " --metric coco"
        )
    return TestFigures(subject, bench.executor.net)


def _quoted(names: tuple[str, ...]) -> str:
    return ("layers " if len(names) > 1 else "layer ") + ", ".join(f"'{name}'" for name in names)
