"""One job's way from its bytes to a record: read, decode, transform, encode. Runs in the workers.

The rule for files that may be kept as they are is convert_imageset's: no resize is asked for, and the
extension of the name is that of the encoding. Such a record holds the file, byte for byte.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from caffeflow import images
from caffeflow.data.digest import record_digest
from caffeflow.data.sample import Job, Pixels, UnreadableError
from caffeflow.data.settings import BuildSettings, Encoding
from caffeflow.data.transforms import from_planes, transform
from caffeflow.images import Image, ImageError, Mode

Buffer: TypeAlias = bytes | bytearray

_EXTENSIONS: Final[dict[str, str]] = {"jpg": "jpg", "jpeg": "jpg", "png": "png"}
_SNIFFED: Final[dict[str, str]] = {"jpeg": "jpg", "png": "png"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture ready to be packed: as a reader will see it, and its file if it is encoded."""

    image: Image
    file: bytes | None


@dataclass(frozen=True, slots=True)
class Packed:
    """A sink's form of a picture; `planes` (C, H, W) is what a reader will see."""

    key: bytes
    value: Buffer
    planes: Image


@dataclass(frozen=True, slots=True)
class Converted:
    """A record, ready to be written; `planes` only where the mean wants them."""

    label: int
    key: bytes
    value: Buffer
    digest: bytes
    shape: tuple[int, ...]
    planes: Image | None
    unusual: str | None


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

    def __call__(self, index: int, job: Job) -> Converted | Rejected:
        """Returns the record of the job at this place of the list, or why there is none."""
        try:
            picture, unusual = self._read(job)
        except (ImageError, UnreadableError) as error:
            return Rejected(name=job.name, reason=error.reason, message=str(error))
        packed = self._pack(index, job, picture)
        return Converted(
            label=job.label,
            key=packed.key,
            value=packed.value,
            digest=record_digest(packed.key, packed.value),
            shape=packed.planes.shape,
            planes=packed.planes if self.with_planes else None,
            unusual=unusual,
        )

    def _read(self, job: Job) -> tuple[Picture, str | None]:
        content = job.location.read()
        if isinstance(job.location, Pixels):
            return self._encode(read_image(job, content, self._settings)), None
        unusual = find_unusual(content, job.name)
        kept = self._find_kept(content, job)
        if kept is not None:
            return kept, unusual
        return self._encode(read_image(job, content, self._settings)), unusual

    def _find_kept(self, content: bytes, job: Job) -> Picture | None:
        """Returns the file as it is, decoded as its reader will, if it may be kept."""
        if self._settings.is_resized or extension_of(job.name) != self._encoding:
            return None
        image = images.decode(content, self._reader_mode, name=job.name)
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
    if isinstance(job.location, Pixels):
        place = job.location
        image = from_planes(content, channels=place.channels, height=place.height, width=place.width)
    else:
        image = images.decode(content, "gray" if settings.gray else "color", name=job.name)
    return transform(image, settings)


def extension_of(name: str) -> str | None:
    """Returns `jpg` or `png` if the name ends so, in any case of letters."""
    return _EXTENSIONS.get(name.rpartition(".")[2].lower())


def find_unusual(content: bytes, name: str) -> str | None:
    """Returns what is odd about a file that can be used nonetheless, in words to count by."""
    kind = images.sniff(content)
    named = extension_of(name)
    if named is not None and kind is not None and _SNIFFED.get(kind, kind) != named:
        return f"{kind} named .{name.rpartition('.')[2]}"
    if kind == "jpeg":
        header = images.find_header(content)
        if header is not None and header.channels == 4:
            return "cmyk jpeg"
    return None
