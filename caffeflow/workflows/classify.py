"""`caffeflow classify`: what a bundle's net sees in pictures, listed, written below them and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from caffeflow.data.captions import with_lines_below
from caffeflow.images import Image, Mode
from caffeflow.workflows.bundle import read_bundle
from caffeflow.workflows.classifier import Classifier, Floats
from caffeflow.workflows.detect_images import Picture, find_pictures, read_batches
from caffeflow.workflows.drawn_pictures import check_free, place_of, write_drawn


@dataclass(frozen=True, kw_only=True)
class ClassifySettings:
    """What the user asks for.

    Attributes:
        bundle: The bundle's folder.
        paths: Picture files and folders of such.
        top: How many classes of each picture are told.
        batch_size: Pictures that go through the net together.
        out_dir: Where pictures with their classes below go; None: nowhere.
        force: Replace drawn pictures that are there.
    """

    bundle: Path
    paths: Sequence[Path]
    top: int = 5
    batch_size: int = 16
    out_dir: Path | None = None
    force: bool = False
    device: str = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A class that a picture may show.

    Attributes:
        score: Its probability, or a bare score if the net ends without a Softmax.
    """

    label: int
    name: str
    score: float


@dataclass(frozen=True, kw_only=True)
class Classified:
    """A picture and what it may show, the likeliest first.

    Attributes:
        are_probabilities: What the scores are.
        drawn: The picture with its classes below, if one was written.
    """

    path: Path
    guesses: tuple[Guess, ...]
    are_probabilities: bool
    drawn: Path | None

    def as_json(self) -> dict[str, Any]:
        """Returns plain values."""
        kind = "probability" if self.are_probabilities else "score"
        classes = [{"label": one.label, "name": one.name, kind: one.score} for one in self.guesses]
        return {
            "image": str(self.path),
            "classes": classes,
            "drawn": None if self.drawn is None else str(self.drawn),
        }


def classify(
    settings: ClassifySettings, *, note: Callable[[str], None], on_progress: Callable[[int, int], None]
) -> Iterator[Classified]:
    """Yields each picture with its classes, in order; pictures that cannot be read are noted.

    Args:
        settings: What is asked for.
        note: Gets sentences on what was decided or left out.
        on_progress: Gets the number of pictures done, and of all.

    Raises:
        UsageError: The folder is no bundle, or drawn pictures are in the way.
        NetError: The net does not classify.
        WeightsError: Weights that do not fit the net.
        DataError: No picture, none that can be read, or one that cannot be written.
    """
    bundle = read_bundle(settings.bundle)
    pictures = find_pictures(settings.paths)
    check_free(pictures, settings.out_dir, force=settings.force)
    classifier = Classifier(bundle, device=settings.device, precision=settings.precision, note=note)
    mode: Mode = "gray" if bundle.preprocess.channels == 1 else "color"  # as prepare decodes for such a net
    for done, batch in read_batches(pictures, settings.batch_size, note, mode=mode):
        yield from _look(classifier, batch, settings)
        on_progress(done, len(pictures))


def best(scores: Floats, labels: Sequence[str], top: int) -> tuple[Guess, ...]:
    """Returns the classes with the highest scores; of equal ones the first."""
    order = np.argsort(-scores, kind="stable")[:top].tolist()
    return tuple(Guess(label=label, name=labels[label], score=float(scores[label])) for label in order)


def _look(
    classifier: Classifier, batch: Sequence[tuple[Picture, Image]], settings: ClassifySettings
) -> Iterator[Classified]:
    if not batch:
        return
    names = [f"image '{picture.path}'" for picture, _ in batch]
    scores = classifier.look([image for _, image in batch], names)
    for (picture, image), row in zip(batch, scores, strict=True):
        guesses = best(row, classifier.bundle.labels, settings.top)
        drawn = None if settings.out_dir is None else place_of(picture, settings.out_dir)
        if drawn is not None:
            _draw(image, guesses, drawn)
        yield Classified(
            path=picture.path,
            guesses=guesses,
            are_probabilities=classifier.scores.are_probabilities,
            drawn=drawn,
        )


def _draw(image: Image, guesses: Sequence[Guess], path: Path) -> None:
    write_drawn(with_lines_below(image, [f"{guess.score:.3f}  {guess.name}" for guess in guesses]), path)
