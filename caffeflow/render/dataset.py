"""What a net needs to know of its dataset, as plain values.

The workflow fills this in from a dataset folder's manifest; without one, `stand_in` gives what the
recipe was made for, at the place where `caffeflow prepare` would write it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from caffeflow.render.catalog import Net


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A dataset's facts.

    Attributes:
        name: Its name, for comments and messages.
        folder: Where it lies, or would lie.
        backend: `lmdb` or `imagedata`; None if nobody has decided.
        is_encoded: Whether records are JPEG or PNG, so that they can be decoded as colour or gray.
        channels: Channels of every record; None where they differ.
        height: Height of every record; None where they differ.
        width: Width of every record; None where they differ.
        classes: Number of classes, for detection with the background.
        train_count: Training images.
        val_count: Test images.
        train_path: Source of the training images (an LMDB or a list); None for the usual place.
        val_path: Source of the test images.
        train_root: Folder before the list's paths.
        val_root: Folder before the list's paths.
        mean_file: The mean image, if there is one.
        mean_values: Its mean over each channel, if known.
        is_missing: Whether it is yet to be made.
        task: What it is for: `classification` or `detection`.
        class_names: The name of each label (for detection the background's too); empty if nobody knows.
        label_map: The label map of a detection dataset.
        name_size: Names and sizes of a detection dataset's test images.
    """

    name: str
    folder: Path
    backend: str | None
    is_encoded: bool
    channels: int | None
    height: int | None
    width: int | None
    classes: int
    train_count: int
    val_count: int
    train_path: Path | None = None
    val_path: Path | None = None
    train_root: Path | None = None
    val_root: Path | None = None
    mean_file: Path | None = None
    mean_values: tuple[float, ...] | None = None
    is_missing: bool = False
    task: str = "classification"
    class_names: tuple[str, ...] = ()
    label_map: Path | None = None
    name_size: Path | None = None

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width, if all records share them."""
        return None if self.height is None or self.width is None else (self.height, self.width)


def stand_in(net: Net, data_dir: Path) -> Dataset:
    """Returns the dataset that a net's recipe was made for, marked as missing."""
    recipe = net.dataset
    folder = data_dir / recipe.name
    is_detection = net.task.name == "detection"
    return Dataset(
        name=recipe.name,
        folder=folder,
        backend=None,
        is_encoded=True,
        channels=recipe.channels,
        height=recipe.height or None,
        width=recipe.width or None,
        classes=recipe.classes,
        train_count=recipe.train,
        val_count=recipe.val,
        mean_file=None if is_detection else folder / "mean.binaryproto",
        is_missing=True,
        task=net.task.name,
        class_names=recipe.class_names,
        name_size=folder / "test_name_size.txt" if is_detection else None,
    )
