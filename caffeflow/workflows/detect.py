"""`caffeflow detect`: boxes with names and scores in pictures, drawn, listed and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caffeflow.data.box_drawing import NamedCorners, draw_boxes
from caffeflow.images import Image
from caffeflow.workflows.detect_images import Picture, find_pictures, read_batches
from caffeflow.workflows.detector import Detection, Detector, DetectorSettings
from caffeflow.workflows.drawn_pictures import check_free, place_of, write_drawn


@dataclass(frozen=True, kw_only=True)
class DetectSettings:
    """What the user asks for.

    Attributes:
        paths: Picture files and folders of such.
        detector: The net, and how it is used.
        batch_size: Pictures that go through the net together.
        out_dir: Where pictures with boxes go; None: nowhere.
        force: Replace drawn pictures that are there.
    """

    paths: Sequence[Path]
    detector: DetectorSettings
    batch_size: int = 8
    out_dir: Path | None = None
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class Detected:
    """A picture and what was found in it.

    Attributes:
        drawn: The picture with boxes, if one was written.
    """

    path: Path
    height: int
    width: int
    detections: tuple[Detection, ...]
    drawn: Path | None

    def as_json(self) -> dict[str, Any]:
        """Returns plain values: boxes in pixels, xmin, ymin, xmax, ymax."""
        return {
            "image": str(self.path),
            "height": self.height,
            "width": self.width,
            "detections": [asdict(detection) for detection in self.detections],
            "drawn": None if self.drawn is None else str(self.drawn),
        }


def detect(
    settings: DetectSettings, *, note: Callable[[str], None], on_progress: Callable[[int, int], None]
) -> Iterator[Detected]:
    """Yields each picture with what was found in it, in order; pictures that cannot be read are noted.

    Args:
        settings: What is asked for.
        note: Gets sentences on what was decided or left out.
        on_progress: Gets the number of pictures done, and of all.

    Raises:
        UsageError: The net is not named, or drawn pictures are in the way.
        NetError: The net does not detect.
        WeightsError: Weights that do not fit the net, or none.
        DataError: No picture, none that can be read, or one that cannot be written.
    """
    pictures = find_pictures(settings.paths)
    check_free(pictures, settings.out_dir, force=settings.force)
    detector = Detector(settings.detector, note)
    for done, batch in read_batches(pictures, settings.batch_size, note):
        yield from _look(detector, batch, settings.out_dir)
        on_progress(done, len(pictures))


def _look(
    detector: Detector, batch: Sequence[tuple[Picture, Image]], out_dir: Path | None
) -> Iterator[Detected]:
    images_of_batch = [image for _, image in batch]
    found = detector.detect(images_of_batch, [str(picture.path) for picture, _ in batch]) if batch else []
    for (picture, image), detections in zip(batch, found, strict=True):
        drawn = None if out_dir is None else place_of(picture, out_dir)
        if drawn is not None:
            _draw(image, detections, drawn)
        height, width = image.shape[:2]
        yield Detected(
            path=picture.path, height=height, width=width, detections=tuple(detections), drawn=drawn
        )


def _draw(image: Image, detections: Sequence[Detection], path: Path) -> None:
    """Writes a picture with its boxes; the best scores are drawn last, so that they are seen."""
    canvas = image.copy()
    height, width = image.shape[:2]
    span = np.array([width, height, width, height], np.float32)
    boxes = [
        NamedCorners(np.array(each.box, np.float32) / span, each.label, f"{each.name} {each.score:.2f}")
        for each in reversed(detections)
    ]
    draw_boxes(canvas, boxes)
    write_drawn(canvas, path)
