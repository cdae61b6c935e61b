"""A small folder of images of every kind that the pipeline meets: good, odd and broken ones."""

from __future__ import annotations

from pathlib import Path

import cv2
import lmdb
import numpy as np

from caffeflow.data.sample import File, Job, Listing

CLASSES = ("ant", "bee", "cat")


def picture(seed: int, *, height: int, width: int, channels: int = 3) -> np.ndarray:
    """Returns a smooth random picture, so that JPEG keeps it about as it is."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (3, 5, channels), np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


def file_bytes(image: np.ndarray, kind: str) -> bytes:
    return cv2.imencode(f".{kind}", image)[1].tobytes()


def write_images(root: Path, *, count: int, broken: bool = True) -> list[Job]:
    """Writes `count` images below `root`, class by class, and returns their jobs.

    With `broken`, every eleventh is truncated and every thirteenth empty; every seventh is a PNG that
    is called .jpg.
    """
    jobs = []
    for number in range(count):
        label = number * len(CLASSES) // count
        kind = ("jpg", "png")[number % 2]
        image = picture(number, height=11 + number % 5, width=13 + number % 7)
        content = file_bytes(image, "png" if number % 7 == 3 else kind)
        if broken and number % 11 == 5:
            content = content[: len(content) // 2]
        if broken and number % 13 == 6:
            content = b""
        name = f"{CLASSES[label]}/{number}.{kind}"
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        jobs.append(Job(name=name, label=label, location=File(path)))
    return jobs


def mixed_listing(root: Path, *, train: int = 47, val: int = 17, broken: bool = True) -> Listing:
    """Returns a listing of newly written images in `root/train` and `root/val`."""
    return Listing(
        splits={
            "train": write_images(root / "train", count=train, broken=broken),
            "val": write_images(root / "val", count=val, broken=broken),
        },
        class_names=CLASSES,
    )


def read_listing(root: Path) -> Listing:
    """Returns the listing of images that `mixed_listing` wrote."""
    splits = {}
    for split in ("train", "val"):
        paths = sorted((root / split).glob("*/*"), key=lambda path: int(path.stem))
        splits[split] = [
            Job(
                name=f"{path.parent.name}/{path.name}",
                label=CLASSES.index(path.parent.name),
                location=File(path),
            )
            for path in paths
        ]
    return Listing(splits=splits, class_names=CLASSES)


def folder_content(folder: Path) -> dict[str, object]:
    """Returns what a dataset folder holds: files as bytes, an LMDB as the list of its records."""
    content: dict[str, object] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.name == "data.mdb":
            environment = lmdb.open(str(path.parent), readonly=True, lock=False)
            with environment, environment.begin() as transaction:
                content[name] = list(transaction.cursor())
        elif path.is_file() and path.name != "lock.mdb":
            content[name] = path.read_bytes()
    return content
