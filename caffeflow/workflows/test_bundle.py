"""`caffeflow test BUNDLE --data DATASET`: a deployed classifier on the records of a dataset, each once.

The one rule to know: records go the way that pictures go, through `preprocess.json`. So a dataset of
another size or kind than that of the training will do, and on that of the training the figures are those
of the tested net.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from caffeflow import __version__
from caffeflow.data.manifest import Manifest, read_manifest
from caffeflow.data.records import Records, Seen, open_records
from caffeflow.engine.device import describe_device
from caffeflow.errors import CheckError, DataError
from caffeflow.evaluate.classification import Classification, Tally
from caffeflow.evaluate.mistakes import Mistakes
from caffeflow.images import Image
from caffeflow.system import usable_cores
from caffeflow.workflows.bundle import Bundle, read_bundle
from caffeflow.workflows.classifier import Classifier, Floats
from caffeflow.workflows.test_bundle_files import check_free, write_files
from caffeflow.workflows.test_figures import classification_figures

_MISTAKES: Final = 36
_SMALLEST: Final = np.finfo(np.float32).tiny


@dataclass(frozen=True, kw_only=True)
class BundleTestSettings:
    """What the user asks for.

    Attributes:
        bundle: The bundle's folder.
        data: A dataset folder.
        split: Which split of it.
        out_dir: Where the files go; None: `tests/DATASET-SPLIT` in the bundle.
        force: Replace files of an earlier test.
    """

    bundle: Path
    data: Path
    split: str = "val"
    out_dir: Path | None = None
    batch_size: int = 32
    force: bool = False
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"

    @property
    def folder(self) -> Path:
        """Where the files go."""
        name = f"{self.data.resolve().name}-{self.split}"
        return self.out_dir if self.out_dir is not None else self.bundle / "tests" / name


def score_bundle(
    settings: BundleTestSettings, *, note: Callable[[str], None], on_progress: Callable[[int, int], None]
) -> dict[str, Any]:
    """Tests a bundle, writes its files, and returns the figures, as JSON has them.

    Args:
        settings: What is asked for.
        note: Gets sentences on what was decided or found.
        on_progress: Gets the number of records done, and of all.

    Raises:
        UsageError: The folder is no bundle, files are in the way, or matplotlib is not installed.
        NetError: The net does not classify.
        DataError: There is no such dataset or split, or it does not fit the net.
        CheckError: The net's scores are no numbers.
    """
    bundle = read_bundle(settings.bundle)
    check_free(settings.folder, force=settings.force)
    manifest = read_manifest(settings.data)
    _compare_names(bundle, manifest, settings, note)
    classifier = Classifier(bundle, device=settings.device, precision=settings.precision, note=note)
    source, records = _open(settings, manifest)
    looking = _Looking(classifier)
    started = time.monotonic()
    with closing(records), ThreadPoolExecutor(usable_cores()) as pool:
        for seen in _batches(records, settings.batch_size, pool):
            looking.add(seen, source)
            on_progress(looking.count, records.count)
    seconds = time.monotonic() - started
    counted = looking.result(bundle)
    result = {
        "net": str(bundle.role.net_file.path),
        "weights": str(bundle.weights),
        "source": str(source),
        "records": looking.count,
        "loss": looking.loss,
        **classification_figures(counted, bundle.labels),
        "outputs": {},
        "batch_size": settings.batch_size,
        "images_per_second": looking.count / max(seconds, 1e-9),
        "device": describe_device(classifier.device),
        "precision": settings.precision,
        "caffeflow": __version__,
    }
    title = f"{bundle.folder.resolve().name} on {settings.data.resolve().name} {settings.split}"
    files = write_files(
        settings.folder, result, counted, looking.mistakes.worst(), names=bundle.labels, title=title
    )
    return result | {"files": [str(path) for path in files]}


class _Looking:
    """Adds up what a classifier says of records."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier: Final = classifier
        self._tally: Final = Tally(classifier.scores.classes)
        self.mistakes: Final = Mistakes(_MISTAKES)
        self.count = 0
        self._sum = 0.0

    def add(self, seen: Sequence[Seen], source: Path) -> None:
        labels = np.array([record.label for record in seen])
        self._tally.check(labels)
        names = [f"{source}: record {self.count + place}" for place in range(len(seen))]
        scores = self._classifier.look([_picture(record) for record in seen], names)
        self._tally.add(scores, labels)
        for record, row in zip(seen, scores, strict=True):
            self.mistakes.add(self.count, record.label, row, record.planes)
            self.count += 1
        self._add_loss(scores, labels)

    @property
    def loss(self) -> float | None:
        """The mean of -log of the right class's probability; None if the scores are none."""
        return self._sum / self.count if self._classifier.scores.are_probabilities else None

    def result(self, bundle: Bundle) -> Classification:
        counted = self._tally.result()
        if counted.broken:
            raise CheckError(
                f"{bundle.weights}: the scores of {counted.broken} of {self.count} records are not all"
                " numbers but NaN or infinite; look at the weights with: caffeflow weights show"
                f" {bundle.weights}"
            )
        return counted

    def _add_loss(self, scores: Floats, labels: np.ndarray[Any, Any]) -> None:
        if self._classifier.scores.are_probabilities:
            own = np.maximum(scores[np.arange(len(labels)), labels], _SMALLEST)
            self._sum -= math.fsum(np.log(own).tolist())


def _picture(record: Seen) -> Image:
    """Returns a record as a decoded picture is: (H, W) or (H, W, C)."""
    planes: Any = record.planes
    picture: Image = planes[0] if len(planes) == 1 else np.ascontiguousarray(planes.transpose(1, 2, 0))
    return picture


def _open(settings: BundleTestSettings, manifest: Manifest) -> tuple[Path, Records]:
    if manifest.task != "classification":
        raise DataError(f"{settings.data}: is a dataset of boxes; a classifier is tested on one of classes")
    if settings.split not in manifest.splits:
        known = " and ".join(manifest.splits)
        raise DataError(
            f"{settings.data}: has no split '{settings.split}', only {known}; choose with --split"
        )
    split = manifest.splits[settings.split]
    source = settings.data / split.path
    root = None if split.root is None else settings.data / split.root
    return source, open_records(source, root=root, mode="gray" if manifest.channels == 1 else "color")


def _batches(records: Records, size: int, pool: ThreadPoolExecutor) -> Iterator[list[Seen]]:
    stored = records.once()
    while batch := list(islice(stored, size)):
        yield list(pool.map(records.read, batch))


def _compare_names(
    bundle: Bundle, manifest: Manifest, settings: BundleTestSettings, note: Callable[[str], None]
) -> None:
    """Looks whether the net and the dataset mean the same by a label.

    Raises:
        DataError: They have the same classes in another order.
    """
    ours, theirs = bundle.labels[: len(manifest.class_names)], manifest.class_names
    others = [label for label, (one, other) in enumerate(zip(ours, theirs, strict=False)) if one != other]
    if not others:
        return
    label = others[0]
    what = f"label {label} is '{ours[label]}' in {bundle.folder} and '{theirs[label]}' in {settings.data}"
    if set(ours) == set(theirs):
        raise DataError(
            f"{what}: the same classes in another order; prepare the dataset with the net's labels"
        )
    note(f"{what}; labels go by number, so the figures mean something only if both mean the same class")
