"""One job's way from its bytes to a record: read, decode, transform, encode. Runs in the workers.

The rule for files that may be kept as they are is convert_imageset's: no resize is asked for, and the
extension of the name is that of the encoding. Such a record holds the file, byte for byte. Beside boxes
it must have the channels, too, that are asked for: SSD's layers stop at a gray file among colour ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from caffeflow import augmentation, images, splitmix
from caffeflow.data.boxes import Annotation
from caffeflow.data.digest import record_digest
from caffeflow.data.placed_boxes import PlacedBoxes, place_boxes
from caffeflow.data.sample import Job, Pixels, UnreadableError
from caffeflow.data.settings import BuildSettings, Encoding
from caffeflow.data.transforms import as_planes, from_planes, transform
from caffeflow.image_bytes import find_header, sniff
from caffeflow.images import Image, ImageError, Mode

Buffer: TypeAlias = bytes | bytearray

_EXTENSIONS: Final[dict[str, str]] = {"jpg": "jpg", "jpeg": "jpg", "png": "png"}
_SNIFFED: Final[dict[str, str]] = {"jpeg": "jpg", "png": "png"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture ready to be packed.

    Attributes:
        image: As a reader will see it.
        file: Its file, if it is encoded.
        boxes: For detection.
        original: Height and width before resizing; for detection.
    """

    image: Image
    file: bytes | None
    boxes: PlacedBoxes | None = None
    original: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Packed:
    """A sink's form of a picture.

    Attributes:
        key: Of the record.
        value: Of the record.
        planes: (C, H, W), what a reader will see.
        lines: For the text files that the sink writes beside it, one each.
    """

    key: bytes
    value: Buffer
    planes: Image
    lines: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Converted:
    """A record, ready to be written.

    Attributes:
        name: The job's.
        label: The job's.
        key: As packed.
        value: As packed.
        digest: Of key and value.
        shape: (C, H, W).
        planes: Only where the mean wants them.
        unusual: What is odd about the image, in words to count by.
        boxes: For detection.
        lines: As packed.
    """

    name: str
    label: int
    key: bytes
    value: Buffer
    digest: bytes
    shape: tuple[int, ...]
    planes: Image | None
    unusual: tuple[str, ...] = ()
    boxes: PlacedBoxes | None = None
    lines: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """An image that cannot be used: one word to count by, and the whole sentence."""

    name: str
    reason: str
    message: str


class Converter:
    """Turns jobs into records; several threads share one.

    Args:
        settings: Of the build.
        encoding: What `auto` came out as.
        pack: The sink's part: index, job and picture to a record.
        with_planes: Whether the mean is wanted. The builder sets it to False once sizes differ.
    """

    def __init__(
        self,
        settings: BuildSettings,
        encoding: Encoding,
        pack: Callable[[int, Job, Picture], Packed],
        *,
        with_planes: bool,
    ) -> None:
        self.with_planes = with_planes
        self._settings = settings
        self._encoding = encoding
        self._pack = pack
        # Caffe's Data layer decodes an encoded Datum as it is, its ImageData layer in colour or gray.
        files_mode: Mode = "gray" if settings.gray else "color"
        self._reader_mode: Mode = "unchanged" if settings.backend == "lmdb" else files_mode
        self._draws = splitmix.base_of(settings.seed, "augment_copies")

    def __call__(self, index: int, job: Job) -> Converted | Rejected:
        """Returns the record of the job at this place of the list, or why there is none."""
        try:
            picture, unusual = self._read(job) if job.copy == 0 else (self._changed(index, job), ())
        except (ImageError, UnreadableError) as error:
            return Rejected(name=job.name, reason=error.reason, message=str(error))
        packed = self._pack(index, job, picture)
        return Converted(
            name=job.name,
            label=job.label,
            key=packed.key,
            value=packed.value,
            digest=record_digest(packed.key, packed.value),
            shape=packed.planes.shape,
            planes=packed.planes if self.with_planes else None,
            unusual=unusual,
            boxes=picture.boxes,
            lines=packed.lines,
        )

    def _read(self, job: Job) -> tuple[Picture, tuple[str, ...]]:
        """Returns the picture, and what is odd about it."""
        content = job.location.read()
        kept: Picture | None = None
        unusual: tuple[str, ...] = ()
        if not isinstance(job.location, Pixels):
            kept, unusual = self._find_kept(content, job), find_unusual(content, job.name)
        original = kept.image if kept else decode_image(job, content, self._settings)
        picture = kept or self._encode(transform(original, self._settings))
        if job.annotation is None:
            return picture, unusual
        height, width = original.shape[:2]
        boxes = place_boxes(job.annotation, size=(height, width))
        unusual += find_unusual_annotation(job.annotation, size=(height, width), boxes=boxes)
        unusual += ("turned upright",) if is_turned(job, content) else ()
        return replace(picture, boxes=boxes, original=(height, width)), unusual

    def _changed(self, index: int, job: Job) -> Picture:
        """Returns a copy, which is changed by the numbers of its place in the list."""
        asked = self._settings.augmentation
        assert asked is not None, "settings that ask for copies say how they differ"  # noqa: S101 - a contract between our parts
        image = read_image(job, job.location.read(), self._settings)
        units = splitmix.units(self._draws, np.array([index]), augmentation.UNITS)
        return self._encode(augmentation.augmented(image, asked, units[0]))

    def _find_kept(self, content: bytes, job: Job) -> Picture | None:
        """Returns the file as it is, decoded as its reader will, if it may be kept."""
        if self._settings.is_resized or extension_of(job.name) != self._encoding:
            return None
        if is_turned(job, content):
            return None
        image = images.decode(content, self._reader_mode, name=job.name)
        if job.annotation is not None and as_planes(image).shape[0] != (1 if self._settings.gray else 3):
            return None
        # Caffe: io.cpp compares the flag with what it decoded by that flag, and so would keep a colour
        # file where gray is asked for. Here it becomes gray.
        is_wanted = not self._settings.gray or self._reader_mode == "gray" or image.ndim == 2
        return Picture(image, content) if is_wanted else None

    def _encode(self, image: Image) -> Picture:
        if self._encoding == "raw":
            return Picture(image, None)
        file = images.encode(image, self._encoding)
        if self._encoding == "jpg" and self.with_planes:
            image = images.decode(file, "unchanged")
        return Picture(image, file)


def read_image(job: Job, content: bytes, settings: BuildSettings) -> Image:
    """Returns the decoded and transformed picture of a job.

    Raises:
        ImageError: The content is not a usable picture.
    """
    return transform(decode_image(job, content, settings), settings)


def decode_image(job: Job, content: bytes, settings: BuildSettings) -> Image:
    """Returns the decoded picture of a job, in the orientation in which it was annotated.

    Raises:
        ImageError: The content is not a usable picture.
    """
    if isinstance(job.location, Pixels):
        place = job.location
        return from_planes(content, channels=place.channels, height=place.height, width=place.width)
    # Caffe: io.cpp turns a picture upright by its EXIF orientation whenever it re-encodes it, and leaves the
    # boxes where they were. Here the annotated size says how the boxes were meant.
    as_stored = job.annotation is not None and not is_turned(job, content)
    mode: Mode = "gray" if settings.gray else "color"
    return images.decode(content, mode, name=job.name, as_stored=as_stored)


def is_turned(job: Job, content: bytes) -> bool:
    """Tells whether a file was annotated as its EXIF orientation shows it, on its side as it is stored."""
    size = job.annotation.size if job.annotation is not None else None
    header = find_header(content) if size is not None else None
    if header is None or header.height == header.width or size != (header.width, header.height):
        return False
    return images.decode(content, "color", name=job.name).shape[:2] == size


def extension_of(name: str) -> str | None:
    """Returns `jpg` or `png` if the name ends so, in any case of letters."""
    return _EXTENSIONS.get(name.rpartition(".")[2].lower())


def find_unusual(content: bytes, name: str) -> tuple[str, ...]:
    """Returns what is odd about a file that can be used nonetheless, in words to count by."""
    kind = sniff(content)
    named = extension_of(name)
    if named is not None and kind is not None and _SNIFFED.get(kind, kind) != named:
        return (f"{kind} named .{name.rpartition('.')[2]}",)
    if kind == "jpeg":
        header = find_header(content)
        if header is not None and header.channels == 4:
            return ("cmyk jpeg",)
    return ()


def find_unusual_annotation(
    annotation: Annotation, *, size: tuple[int, int], boxes: PlacedBoxes
) -> tuple[str, ...]:
    """Returns what is odd about an image's annotation as a whole, in words to count by.

    Args:
        annotation: As the source gave it.
        size: Height and width of the image, before resizing.
        boxes: What became of the annotation.
    """
    facts = {
        "without boxes": not boxes.labels,
        "annotated at another size": annotation.size not in (None, size),
    }
    return tuple(what for what, is_so in facts.items() if is_so)
