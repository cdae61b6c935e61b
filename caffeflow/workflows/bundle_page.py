"""The README.md of a bundle: how it was made, of what, and what was compared; and how to use it."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1
from importlib import metadata
from pathlib import Path
from typing import Final

from caffeflow import __version__
from caffeflow.errors import DataError
from caffeflow.workflows.bundle_preprocess import Preprocess
from caffeflow.workflows.deploy_check import Check
from caffeflow.workflows.same_outputs import TOLERANCE

_PACKAGES: Final = ("torch", "numpy", "opencv-python-headless", "protobuf")
_BLOCK: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Page:
    """What the README tells.

    Attributes:
        title: The net.
        command: What was typed.
        sources: The files that the bundle was made of.
        folded: Rows of what went into what, as text: layer, type, where it went.
        left_out: Layers that only training and testing need.
        outputs: The net's outputs.
        finds_boxes: It is a detector.
        example: What check.npz is of.
    """

    title: str
    command: Sequence[str]
    sources: Sequence[Path]
    folded: Sequence[tuple[str, ...]]
    left_out: Sequence[str]
    checks: Sequence[Check]
    preprocess: Preprocess
    outputs: Sequence[str]
    finds_boxes: bool
    example: str


def readme(page: Page, folder: Path) -> str:
    """Returns the text.

    Args:
        page: What it tells.
        folder: The bundle, with all other files in it.
    """
    parts = [
        f"# {page.title}, deployed",
        f"Made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by caffeflow {__version__} ({_versions()}):",
        "    " + shlex.join(page.command),
        _use(page),
        "## What was compared\n\n" + _checks(page.checks),
        "## Files\n\n" + _files(sorted(path for path in folder.iterdir() if path.is_file()), short=True),
        "## Made of\n\n" + _files(page.sources, short=False),
        "## BatchNorm and Scale\n\n" + _folds(page.folded),
    ]
    if page.left_out:
        parts.append("## Left out\n\nOnly training and testing need them: " + ", ".join(page.left_out) + ".")
    return "\n\n".join(parts) + "\n"


def _use(page: Page) -> str:
    shape = " x ".join(map(str, (1, *page.preprocess.shape)))
    verb = "detect PICTURE --net BUNDLE" if page.finds_boxes else "classify BUNDLE PICTURE"
    return (
        "## Use\n\n"
        f"    caffeflow {verb}\n\n"
        f"Input `{page.preprocess.input}`: {shape}, float32, planes in the order"
        f" {'gray' if page.preprocess.channels == 1 else 'blue, green, red'}; how a picture becomes it stands"
        f" in `preprocess.json`, which says what its numbers mean. Outputs:"
        f" {', '.join(f'`{name}`' for name in page.outputs)}. `check.npz` holds {page.example} under the"
        " input's name and what the net makes of it under the blobs' names: run it through whatever you"
        " compile the net with, and compare."
    )


def _checks(checks: Sequence[Check]) -> str:
    rows = []
    for check in checks:
        found = f"{check.worst:.2g}" if check.worst is not None else f"not compared: {check.reason}"
        rows.append((check.what, f"`{check.blob}`" if check.blob else "", found))
    table = _table(("with", "blob", "worst difference"), rows)
    return (
        f"{table}\n\nDifferences are shares of the largest value; above {TOLERANCE:g} nothing would be here."
    )


def _folds(rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return "Nothing was folded."
    return _table(("layer", "type", "what became of it"), rows)


def _files(paths: Sequence[Path], *, short: bool) -> str:
    rows = [(f"`{path.name if short else path}`", str(path.stat().st_size), sha1_of(path)) for path in paths]
    return _table(("file", "bytes", "sha1"), rows)


def sha1_of(path: Path) -> str:
    """Returns the SHA-1 of a file, by which people tell published weights apart.

    Raises:
        DataError: It cannot be read.
    """
    digest = sha1(usedforsecurity=False)
    try:
        with path.open("rb") as content:
            while block := content.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            found.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:  # OpenCV is packaged under several names
            continue
    return ", ".join(found)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
