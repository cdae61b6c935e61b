"""Configuring and compiling a tree with its own CMake files, in a build folder that is caffeflow's.

A folder that somebody else made is never built in. CMake and make know what is done already, so a
stopped or failed build goes on where it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from caffeflow.errors import NativeError
from caffeflow.files import write_text
from caffeflow.native.build_failures import BuildFailure
from caffeflow.native.job import run_job
from caffeflow.native.tree import Tree

Mode: TypeAlias = Literal["cpu", "cuda"]

# What git ignores in every tree that is known; the second where the first is somebody's.
_FOLDERS: Final = ("build", "cmake_build")
_MARKER: Final = "caffeflow-build.json"
_LOG: Final = "caffeflow-build.log"
_STEP: Final = re.compile(r"^\[ *(?P<percent>\d+)%\] (?P<what>.+)$")
_OBJECT: Final = re.compile(
    r"^Building .* object (?P<folder>\S*?)/?CMakeFiles/[^/]+\.dir/(?P<source>\S+?)\.o$"
)
_LINKED: Final = re.compile(r"^Linking .* (?:\S*/)?(?P<name>\S+)$")
_ARCH: Final = re.compile(r"\d{2,3}(?:,\d{2,3})*")


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """What is built.

    Attributes:
        mode: cpu or cuda.
        arch: GPU architectures such as `90` or `75,90`; `auto`: those of the GPUs of this machine.
        with_python: The Python module too.
    """

    mode: Mode
    arch: str = "auto"
    with_python: bool = False


@dataclass(frozen=True)
class BuildFolder:
    """A folder that caffeflow builds a tree in."""

    path: Path

    @property
    def log(self) -> Path:
        """Where everything that CMake and the compilers said is kept."""
        return self.path / _LOG

    @property
    def program(self) -> Path:
        """Where the caffe program will be."""
        return self.path / "tools" / "caffe"

    @property
    def test_program(self) -> Path:
        """Where the program of the C++ tests will be."""
        return self.path / "test" / "test.testbin"

    def settings(self) -> BuildSettings:
        """Returns what was configured here.

        Raises:
            NativeError: Nothing was.
        """
        try:
            kept = json.loads((self.path / _MARKER).read_text(encoding="utf-8"))
            return BuildSettings(**kept)
        except (OSError, ValueError, TypeError) as error:
            tree = self.path.parent
            raise NativeError(f"'{tree}' is not built: run caffeflow caffe build {tree} --cpu") from error


def build_folder(tree: Tree) -> BuildFolder:
    """Returns where a tree is, or will be, built.

    Raises:
        NativeError: The folders that could be used are somebody else's.
    """
    for name in _FOLDERS:
        folder = tree.root / name
        if (folder / _MARKER).is_file() or not (folder.exists() or folder.is_symlink()):
            return BuildFolder(folder)
    raise NativeError(
        f"'{tree.root}' has builds of its own in {' and '.join(_FOLDERS)}; move one away, or delete it"
    )


def check_arch(arch: str) -> None:
    """Checks a list of GPU architectures.

    Raises:
        NativeError: It is none.
    """
    if arch != "auto" and not _ARCH.fullmatch(arch):
        raise NativeError(
            f"--arch '{arch}' is no list of GPU architectures; expected auto, or 90, or 75,90 (numbers alone:"
            " nothing here needs the kinds with a letter, such as 90a)"
        )


def configure(tree: Tree, folder: BuildFolder, settings: BuildSettings, *, options: list[str]) -> bool:
    """Runs CMake and returns whether cuDNN will be used.

    Args:
        tree: The tree.
        folder: Where to build.
        settings: What to build.
        options: Further -D words: where the libraries are.

    Raises:
        NativeError: CMake refuses the tree, or leaves out what was asked for.
        StoppedError: The user stopped it.
    """
    try:
        folder.path.mkdir(exist_ok=True)
    except OSError as error:
        raise NativeError(
            f"'{folder.path}' cannot be made: {error.strerror}; build in a copy of yours"
        ) from error
    write_text(folder.path / _MARKER, json.dumps(asdict(settings)) + "\n")
    failure = BuildFailure(tree.root)
    seen: list[str] = []

    def see(line: str) -> None:
        seen.append(line)
        failure.see(line)

    code = run_job(_configure_command(tree, folder, settings, options), see, log_path=folder.log)
    if code != 0:
        raise NativeError(f"CMake refuses '{tree.root}': {failure.explain()}; log: {folder.log}")
    said = "\n".join(seen)
    # What CMake does not find, Caffe's files leave out with a line among a hundred others.
    left_out = {
        "CUDA": settings.mode == "cuda" and "CUDA detected:" not in said,
        "pycaffe": settings.with_python and "Python interface is disabled" in said,
    }
    for name, is_out in left_out.items():
        if is_out:
            raise NativeError(f"CMake leaves {name} out of '{tree.root}'; what it did not find: {folder.log}")
    return "Found cuDNN" in said


def compile_targets(
    tree: Tree,
    folder: BuildFolder,
    *,
    jobs: int,
    on_step: Callable[[int, str], None],
    target: str | None = None,
) -> None:
    """Compiles what is not compiled yet.

    Args:
        tree: The tree.
        folder: Where it was configured.
        jobs: How many compilers at once.
        on_step: Gets per cent and what is being made, a call for every file.
        target: What to make; None: everything but the tests.

    Raises:
        NativeError: It does not compile; says the likely cause and what mends it.
        StoppedError: The user stopped it.
    """
    failure = BuildFailure(tree.root)

    def see(line: str) -> None:
        failure.see(line)
        step = read_step(line)
        if step is not None:
            on_step(*step)

    wanted = ["--target", target] if target else []
    command: list[str | Path] = ["cmake", "--build", folder.path, "--parallel", str(jobs), *wanted]
    if run_job(command, see, log_path=folder.log) != 0:
        raise NativeError(f"'{tree.root}' does not compile: {failure.explain()}; log: {folder.log}")


def read_step(line: str) -> tuple[int, str] | None:
    """Returns per cent and the file of a line of make's, or None for a line that begins nothing."""
    found = _STEP.match(line)
    if found is None or found["what"].startswith("Built target"):
        return None
    what = found["what"]
    if source := _OBJECT.match(what):
        # FindCUDA puts its own prefix before the name of every .cu file.
        name = re.sub(r"cuda_compile_\d+_generated_", "", source["source"])
        what = f"{source['folder']}/{name}".lstrip("/")
    elif linked := _LINKED.match(what):
        what = f"linking {linked['name']}"
    return int(found["percent"]), what


def _configure_command(
    tree: Tree, folder: BuildFolder, settings: BuildSettings, options: list[str]
) -> list[str | Path]:
    words: dict[str, str] = {
        "CMAKE_BUILD_TYPE": "Release",
        "BLAS": "Open",
        "BUILD_docs": "OFF",
        "BUILD_matlab": "OFF",
        "BUILD_python": "ON" if settings.with_python else "OFF",
        "CPU_ONLY": "ON" if settings.mode == "cpu" else "OFF",
    }
    if settings.mode == "cuda":
        words["USE_CUDNN"] = "ON"
        words["CUDA_ARCH_NAME"] = "Auto" if settings.arch == "auto" else "Manual"
    if settings.mode == "cuda" and settings.arch != "auto":
        words["CUDA_ARCH_BIN"] = settings.arch.replace(",", " ")
        # The newest also as PTX, which GPUs to come translate for themselves.
        words["CUDA_ARCH_PTX"] = max(settings.arch.split(","), key=int)
    given = [f"-D{name}={value}" for name, value in words.items()]
    return ["cmake", "-S", tree.root, "-B", folder.path, "-G", "Unix Makefiles", *given, *options]
