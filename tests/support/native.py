"""The real Caffe that the native tests run: where it lies, how its programs start, why it is missing.

It is Debian 11's package, in a folder of the user's cache that `tests/native/setup_caffe.py` makes.
Its programs run from outside, through the folder's own dynamic loader, without chroot.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from caffeflow import system

SUITE: Final = "bullseye"
MARKER: Final = "caffeflow.json"

# Read when this module is imported, because the tests are given a HOME of their own afterwards.
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "caffeflow" / "native"
REASON: Final = CACHE / "why-missing.txt"
SOURCE: Final = CACHE / "debian-source"
SOURCE_REASON: Final = CACHE / "why-no-source.txt"
TREES: Final = "CAFFEFLOW_TREES"
SSD_TREE: Final = "CAFFEFLOW_SSD_CAFFE"

Report = Callable[[str, str], None]
"""Keeps a figure under a name for the summary at the end of the native tests."""


@dataclass(frozen=True)
class NativeCaffe:
    """A finished tree with Debian's Caffe in it."""

    tree: Path

    def tool(self, name: str) -> Path:
        """Returns the starter of `caffe`, `convert_imageset`, `compute_image_mean` or `python`."""
        return self.tree / "tools" / name

    def facts(self) -> dict[str, Any]:
        """Returns what the set-up program wrote down: packages, versions, BLAS."""
        facts: dict[str, Any] = json.loads((self.tree / MARKER).read_text())
        return facts

    def run(self, name: str, *arguments: str | Path, cwd: Path | None = None, threads: int = 1) -> str:
        """Runs a tool to its end and returns its output; one thread, so that numbers repeat.

        A test that asks for a tool beside `caffe` that this build has not is passed over.
        """
        if name != "caffe" and not self.tool(name).exists():
            pytest.skip(f"{self.tree} has no tools/{name}")
        done = system.run([self.tool(name), *arguments], cwd=cwd, env=environment(threads=threads))
        assert done.returncode == 0, f"{name} ended with {done.returncode}:\n{done.output[-4000:]}"
        return done.output


def environment(*, threads: int, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the environment for a tool: a fixed number of threads, and nothing else of BLAS's."""
    kept = {
        name: value
        for name, value in (os.environ if base is None else base).items()
        if not name.startswith(("OPENBLAS_", "GOTO_", "OMP_", "MKL_", "PYTHON", "GLOG_"))
    }
    return kept | {"OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}


def find_native_caffe() -> NativeCaffe | None:
    """Returns the tree if the set-up program has finished it."""
    tree = CACHE / SUITE
    return NativeCaffe(tree) if (tree / MARKER).is_file() else None


def find_ssd_caffe() -> NativeCaffe | None:
    """Returns the SSD fork that the environment names.

    It is a tree that `caffeflow caffe build` built, or any folder with `tools/caffe`; what also has
    `tools/python` can be asked layer by layer.
    """
    named = os.environ.get(SSD_TREE)
    if not named:
        return None
    root = Path(named).resolve()
    built = [root / folder for folder in ("", "build", "cmake_build")]
    return NativeCaffe(next((each for each in built if (each / "tools/caffe").is_file()), root))


def named_trees() -> list[Path]:
    """Returns the Caffe trees that the environment names, folder after folder, as PATH does."""
    return [Path(path) for path in os.environ.get(TREES, "").split(os.pathsep) if path]


def why_missing(what: str = "real Caffe", file: Path = REASON) -> str:
    """Returns the reason to show for tests that are passed over."""
    reason = file.read_text().strip() if file.is_file() else "it was never set up: run make test-native"
    return f"no {what} here: {reason}"
