"""A small ImageNet: three synsets in the published layouts, with the devkit that scipy writes."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import numpy as np
from scipy.io import savemat

SYNSETS = ("n01440764", "n01443537", "n02084071")
WORDS = {"n01440764": "tench, Tinca tinca", "n01443537": "goldfish", "n02084071": "dog, Canis familiaris"}
VAL_SYNSETS = ("n02084071", "n01440764", "n01443537", "n02084071", "n01440764")
# The devkit numbers classes in an order of its own, and has inner nodes of the tree above 1000.
DEVKIT_IDS = {"n02084071": 1, "n01440764": 2, "n01443537": 3, "n00001740": 1001}


def val_name(number: int) -> str:
    return f"ILSVRC2012_val_{number:08}.JPEG"


def train_names(synset: str) -> list[str]:
    """In the archive they are not sorted."""
    return [f"{synset}_{number}.JPEG" for number in (7, 10, 3)]


def tar_bytes(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def content(name: str) -> bytes:
    """Stands for the picture of this name where none is decoded."""
    return f"picture {name}".encode()


def write_train_tar(path: Path, synsets: tuple[str, ...] = SYNSETS, picture=content) -> Path:
    inner = {
        f"{synset}.tar": tar_bytes({name: picture(name) for name in train_names(synset)})
        for synset in reversed(synsets)
    }
    path.write_bytes(tar_bytes(inner))
    return path


def write_val_tar(path: Path, picture=content) -> Path:
    names = [val_name(number) for number in range(len(VAL_SYNSETS), 0, -1)]
    path.write_bytes(tar_bytes({name: picture(name) for name in names}))
    return path


def devkit_files() -> dict[str, bytes]:
    rows = np.empty(
        (len(DEVKIT_IDS), 1), dtype=[(f, object) for f in ("ILSVRC2012_ID", "WNID", "words", "children")]
    )
    for index, (synset, number) in enumerate(DEVKIT_IDS.items()):
        rows[index, 0] = (np.float64(number), synset, WORDS.get(synset, "entity"), np.zeros((1, 0)))
    meta = io.BytesIO()
    savemat(meta, {"synsets": rows}, do_compression=True)
    truth = "".join(f"{DEVKIT_IDS[synset]}\n" for synset in VAL_SYNSETS)
    return {
        "ILSVRC2012_devkit_t12/readme.txt": b"read me",
        "ILSVRC2012_devkit_t12/data/meta.mat": meta.getvalue(),
        "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt": truth.encode(),
    }


def write_devkit(folder: Path) -> Path:
    path = folder / "ILSVRC2012_devkit_t12.tar.gz"
    path.write_bytes(gzip.compress(tar_bytes(devkit_files())))
    return path


def caffe_files() -> dict[str, bytes]:
    lines = [f"{val_name(n)} {SYNSETS.index(synset)}\n" for n, synset in enumerate(VAL_SYNSETS, 1)]
    return {
        "val.txt": "".join(lines).encode(),
        "synsets.txt": "".join(f"{synset}\n" for synset in SYNSETS).encode(),
        "synset_words.txt": "".join(f"{synset} {WORDS[synset]}\n" for synset in SYNSETS).encode(),
    }


def write_folders(folder: Path, *, train: str = "train", val: str | None = "val") -> None:
    for synset in SYNSETS:
        (folder / train / synset).mkdir(parents=True)
        for name in train_names(synset):
            (folder / train / synset / name).write_bytes(content(name))
    if val is not None:
        (folder / val).mkdir(parents=True)
        for number in range(1, len(VAL_SYNSETS) + 1):
            (folder / val / val_name(number)).write_bytes(content(val_name(number)))
