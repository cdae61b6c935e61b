"""What the user asked a dataset to be, and which of it decides the dataset's bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, TypeAlias

from caffeflow.augmentation import Augmentation
from caffeflow.errors import UsageError

Backend: TypeAlias = Literal["lmdb", "imagedata"]
Encode: TypeAlias = Literal["auto", "raw", "jpg", "png"]
Encoding: TypeAlias = Literal["raw", "jpg", "png"]

RAW_SIDE: Final = 64  # up to this size `auto` keeps bare pixels: a JPEG would hardly be smaller

_PASSING: Final = ("workers", "strict", "resume", "force")  # how to work, not what to make


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """How to prepare a dataset.

    Attributes:
        backend: `lmdb` (for Data layers) or `imagedata` (files and lists, for ImageData layers).
        encode: Form of each record; `auto` is raw up to 64x64, else jpg at quality 95; with boxes always jpg.
        resize: (height, width) to squash every image to, as Caffe does.
        short_side: Length of the shorter side instead, aspect kept.
        min_dim: Enlarges, aspect kept, until the shorter side is this long, as SSD's convert_annoset does.
        max_dim: Shrinks, aspect kept, until the longer side is this long; it wins over `min_dim`.
        gray: One channel.
        shuffle: Whether the train split is shuffled, by `seed`.
        limit: Images of each split, spread evenly over the list; None for all.
        augmentation: How copies of the train split's images are changed at random.
        augment_copies: How many of each image follow it; None for none.
        workers: Threads that decode; None for one a core.
        strict: An image or box that cannot be used is an error instead of a counted reject.
        resume: Goes on with an unfinished dataset.
        force: Replaces a dataset that is there.
    """

    backend: Backend = "lmdb"
    encode: Encode = "auto"
    resize: tuple[int, int] | None = None
    short_side: int | None = None
    min_dim: int | None = None
    max_dim: int | None = None
    gray: bool = False
    shuffle: bool = True
    seed: int = 0
    limit: int | None = None
    augmentation: Augmentation | None = None
    augment_copies: int | None = None
    workers: int | None = None
    strict: bool = False
    resume: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        if sum((self.resize is not None, self.short_side is not None, self._has_dim)) > 1:
            raise UsageError("--resize, --short-side and --min-dim/--max-dim exclude each other; give one")
        if self.backend == "imagedata" and self.encode == "raw":
            raise UsageError(
                "--backend imagedata writes files: expected --encode auto, jpg or png, found raw"
            )
        if self.resume and self.force:
            raise UsageError("--resume goes on with what is there and --force begins anew; give one")
        for name, value in (
            ("--limit", self.limit),
            ("--workers", self.workers),
            ("--short-side", self.short_side),
            ("--augment-copies", self.augment_copies),
            ("--min-dim", self.min_dim),
            ("--max-dim", self.max_dim),
        ):
            if value is not None and value < 1:
                raise UsageError(f"{name} is {value}; expected at least 1")
        if self.resize and min(self.resize) < 1:
            raise UsageError(f"--resize is {self.resize[0]}x{self.resize[1]}; expected sides of at least 1")
        if self.augmentation is None and self.augment_copies is not None:
            raise UsageError(
                f"--augment-copies {self.augment_copies} does not say how the copies differ; give --augment,"
                " --rand-scale or --color-jitter with it"
            )
        if self.augmentation is not None and self.augment_copies is None:
            raise UsageError(
                f"{self.augmentation.options}: prepare changes copies, which it writes beside the images; say"
                " how many of each with --augment-copies N (caffeflow train changes images as it reads them)"
            )

    @property
    def is_resized(self) -> bool:
        """Whether images change their size, and so cannot be stored as the files they are."""
        return self.resize is not None or self.short_side is not None or self._has_dim

    @property
    def _has_dim(self) -> bool:
        return self.min_dim is not None or self.max_dim is not None

    def lasting(self) -> dict[str, Any]:
        """Returns the settings that decide the dataset's bytes, as they come back from JSON."""
        kept = {name: value for name, value in asdict(self).items() if name not in _PASSING}
        kept |= kept.pop("augmentation") or {}
        return dict(json.loads(json.dumps(kept)))

    def encoding_for(self, sizes: Sequence[tuple[int, int]], *, has_boxes: bool = False) -> Encoding:
        """Returns the form of the records: `encode`, or what `auto` means here.

        Args:
            sizes: Height and width of some of the images, as they will be written.
            has_boxes: Whether it is for detection.
        """
        if self.encode != "auto":
            return self.encode
        if has_boxes:
            return "jpg"
        is_small = bool(sizes) and max(max(size) for size in sizes) <= RAW_SIDE
        lossless: Encoding = "raw" if self.backend == "lmdb" else "png"
        return lossless if is_small else "jpg"
