"""What a training tells while it runs: Caffe's log, the table of metrics, TensorBoard, the screen."""

from __future__ import annotations

import importlib.util
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Protocol, Self

from caffeflow.engine.detection import ClassScore
from caffeflow.engine.lines import Element, LogLine, number
from caffeflow.engine.loop import Shown, Tested
from caffeflow.engine.net import Net
from caffeflow.engine.snapshot import SnapshotFiles
from caffeflow.engine.tensorboard import EventWriter
from caffeflow.proto.caffe_pb2 import SolverParameter
from caffeflow.report.curves import kind_of, read_metrics
from caffeflow.workflows.run_folder import MetricsTable, writing


class Screen(Protocol):
    """Where the user looks."""

    def log(self, line: str) -> None:
        """A line of Caffe's log."""

    def main(self, text: str) -> None:
        """One of the few lines that show on a terminal, where the log does not."""

    def note(self, text: str) -> None:
        """A remark that is no part of the log."""

    def progress(self, done: int, total: int, note: str) -> None:
        """So many iterations are done."""


class TrainRecord:
    """Listens to a run and writes down what it hears.

    Args:
        log_path: Caffe's log; continued if it is there.
        table: The metrics.
        events: TensorBoard, if installed.
        screen: The user's.
        total: Iterations of the whole run.
        results: What an earlier part of the run has kept.
        class_names: What the labels are called, for each test net.
        on_snapshot: Gets a snapshot that is complete, and the results so far.
    """

    def __init__(
        self,
        log_path: Path,
        *,
        table: MetricsTable,
        events: EventWriter | None,
        screen: Screen,
        total: int,
        results: Mapping[str, Any],
        class_names: Sequence[Mapping[int, str]],
        on_snapshot: Callable[[SnapshotFiles, Mapping[str, Any]], None],
    ) -> None:
        self._log_path: Final = log_path
        self._log = log_path.open("a", encoding="utf-8", buffering=1)
        self._table: Final = table
        self._events: Final = events
        self._screen: Final = screen
        self._total: Final = total
        self._started: Final = time.monotonic()
        self._note = ""
        self._class_names: Final = class_names
        self._on_snapshot: Final = on_snapshot
        self.results: Final[dict[str, Any]] = dict(results)

    def line(self, line: LogLine) -> None:
        """Writes a line of Caffe's log.

        Raises:
            DataError: The disk is full.
        """
        text = line.with_prefix()
        with writing(self._log_path):
            self._log.write(text + "\n")
        self._screen.log(text)

    def shown(self, shown: Shown) -> None:
        """Writes the figures of a displayed iteration."""
        values = named("train", shown.elements)
        self._add(shown.iteration, {"lr": shown.rate, "loss": shown.loss} | values)
        self._note = f"loss {number(shown.loss)}  lr {number(shown.rate)}"
        self.results["loss"] = shown.loss

    def tested(self, tested: Tested) -> None:
        """Writes the figures of a test pass, and keeps the best of each score."""
        side = test_name(tested.net)
        values = named(side, tested.elements)
        self._add(tested.iteration, values | self._class_values(side, tested))
        # Caffe's Accuracy takes a score that is nan for right: such a pass has no best.
        if not math.isnan(tested.loss):
            for name, value in values.items():
                keep_best(self.results, name, value, tested.iteration)
            for output in tested.detected:
                classes = class_figures(output.score.classes, self._class_names[tested.net])
                self.results[f"{side} {output.blob}"]["classes"] = classes
        said = "  ".join(f"{name} {number(value)}" for name, value in values.items())
        self._screen.main(f"iteration {tested.iteration}: {said}")

    def _class_values(self, side: str, tested: Tested) -> dict[str, float]:
        """Returns the scores of single classes that the table has columns for."""
        known = {
            f"{side} class{one.label}": one.ap
            for output in tested.detected
            for one in output.score.classes
            if one.detections
        }
        return {name: ap for name, ap in known.items() if name in self._table.columns}

    def iterated(self, done: int) -> None:
        """Shows how far the run is."""
        self._screen.progress(done, self._total, self._note)

    def snapshotted(self, files: SnapshotFiles) -> None:
        """Says where the snapshot is, and that it is complete."""
        self._on_snapshot(files, self.results)
        self._screen.main(f"snapshot {files.caffemodel}")

    def __enter__(self) -> Self:
        """Returns the record."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes all files."""
        self.close()

    def close(self) -> None:
        """Closes all files, also when one of them finds the disk full."""
        with writing(self._log_path), ExitStack() as closing:
            closing.callback(self._log.close)
            closing.callback(self._table.close)
            if self._events is not None:
                closing.callback(self._events.close)

    def _add(self, iteration: int, values: Mapping[str, float]) -> None:
        seconds = self._table.seconds_before + time.monotonic() - self._started
        self._table.add({"iteration": iteration, "seconds": seconds, **values})
        if self._events is not None:
            self._events.add(iteration, {name.replace(" ", "/", 1): value for name, value in values.items()})


def keep_best(results: dict[str, Any], name: str, value: float, iteration: int) -> None:
    """Notes a score: the last one, and the best with its iteration."""
    kept = results.setdefault(name, {"best": value, "best_iteration": iteration})
    better = value > kept["best"] if kind_of(name) == "score" else value < kept["best"]
    if better:
        kept |= {"best": value, "best_iteration": iteration}
    kept |= {"last": value, "last_iteration": iteration}


def test_name(net: int) -> str:
    """Returns what columns of a test net begin with: `test`, `test1`, …."""
    return f"test{net}" if net else "test"


test_name.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever its name says


def named(side: str, elements: Iterable[Element]) -> dict[str, float]:
    """Returns values under the names of their columns; elements of one blob get an index."""
    listed = list(elements)
    names = column_names(side, [element.blob for element in listed])
    return dict(zip(names, (element.value for element in listed), strict=True))


def class_figures(classes: Iterable[ClassScore], names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Returns the scores of classes as JSON has them."""
    return [
        {
            "label": one.label,
            "name": names.get(one.label, str(one.label)),
            "boxes": one.boxes,
            "detections": one.detections,
            "ap": one.ap,
        }
        for one in classes
    ]


def logged_class_figures(outputs: Mapping[str, float], names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Returns what a log has of single classes: their scores, where the solver shows them."""
    labels = {name: int(name.removeprefix("class")) for name in outputs if kind_of(name) == "class"}
    return [
        {"label": label, "name": names.get(label, str(label)), "ap": outputs[name]}
        for name, label in labels.items()
    ]


def columns_of(nets: Sequence[Net], parameters: SolverParameter) -> list[str]:
    """Returns the columns that the figures of a train net and its test nets need.

    Single classes have columns where the solver shows them in the log.
    """
    train, *tests = nets
    names = column_names("train", _blobs(train))
    for place, net in enumerate(tests):
        side = test_name(place)
        if parameters.eval_type != "detection":
            names += column_names(side, _blobs(net))
            continue
        names += column_names(side, [output.value.blob for output in net.outputs])
        if parameters.show_per_class_result:
            names += [f"{side} class{label}" for label in _scored_labels(net)]
    return names


def draw(run_dir: Path, screen: Screen) -> None:
    """Draws the curves of a run into its folder, or says why not."""
    if importlib.util.find_spec("matplotlib") is None:
        screen.note("matplotlib is not installed: no curves are drawn; metrics.csv has all figures")
        return
    from caffeflow.report.plot import draw_curves

    table = run_dir / "metrics.csv"
    if len(table.read_text(encoding="utf-8").splitlines()) > 1:
        curves = read_metrics(table, label=run_dir.name)
        draw_curves(curves, run_dir / "curves.png", title=run_dir.name)


def column_names(side: str, blobs: Sequence[str]) -> list[str]:
    """Returns a column name for each element, given the blob that each belongs to."""
    count = Counter(blobs)
    seen: Counter[str] = Counter()
    names = []
    for blob in blobs:
        names.append(f"{side} {blob}[{seen[blob]}]" if count[blob] > 1 else f"{side} {blob}")
        seen[blob] += 1
    return names


def _scored_labels(net: Net) -> list[int]:
    """Returns the labels that a DetectionEvaluate layer lists; those of the only one."""
    layers = [layer.facts.params for layer in net.layers if layer.type == "DetectionEvaluate"]
    if len(layers) != 1:
        return []
    (params,) = layers
    return list(params.labels)


def _blobs(net: Net) -> list[str]:
    blobs = []
    for output in net.outputs:
        size = 1
        for dim in net.shapes.tops[output.value]:
            size *= dim
        blobs += [output.value.blob] * size
    return blobs
