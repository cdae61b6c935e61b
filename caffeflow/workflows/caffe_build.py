"""`caffeflow caffe build`: a patched tree becomes a caffe program that `--engine caffe` finds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from caffeflow import system
from caffeflow.errors import NativeError
from caffeflow.native.build import (
    BuildFolder,
    BuildSettings,
    build_folder,
    check_arch,
    compile_targets,
    configure,
)
from caffeflow.native.cuda_toolkit import find_cuda
from caffeflow.native.patching import status
from caffeflow.native.probes import Places
from caffeflow.native.python_headers import find_python_build
from caffeflow.native.remembered import remember_caffe
from caffeflow.native.run import layer_types
from caffeflow.native.toolchain import Part, check_toolchain
from caffeflow.native.tree import Tree, open_tree

# What a build does not compile without; layers and what SSD does at run time are the user's choice.
_COMPILES_WITH: Final = frozenset({"opencv", "protobuf", "cmake"})


class BuildScreen(Protocol):
    """What a build tells while it goes on."""

    def step(self, percent: int, what: str) -> None:
        """A file is being compiled, or a program linked."""

    def note(self, text: str) -> None:
        """Something that the user should know."""


@dataclass(frozen=True, kw_only=True)
class BuildRequest:
    """What is to be built.

    Attributes:
        tree: The Caffe tree.
        settings: CPU or CUDA, architectures, Python.
        cudnn: Where cuDNN is, if it is not where compilers look.
        jobs: How many compilers at once; None: one a core.
        unpatched: Build it although patches are to do.
    """

    tree: Path
    settings: BuildSettings
    cudnn: Path | None = None
    jobs: int | None = None
    unpatched: bool = False


@dataclass(frozen=True, kw_only=True)
class BuildReport:
    """What was built."""

    tree: Path
    program: Path
    log: Path
    has_cudnn: bool
    layer_types: int
    seconds: float


def build_tree(request: BuildRequest, screen: BuildScreen) -> BuildReport:
    """Builds a tree, checks that its program runs, and remembers it.

    Raises:
        NativeError: It is no tree, needs patches, something is missing here, or it does not compile;
            each says what mends it.
        StoppedError: The user stopped it; the same call goes on.
    """
    started = time.monotonic()
    tree = open_tree(request.tree)
    check_arch(request.settings.arch)
    if not request.unpatched:
        _check_patched(tree, request.settings)
    options = _check_tools(tree, request)
    folder = build_folder(tree)
    screen.note(f"configuring {tree.root}; everything is logged in {folder.log}")
    has_cudnn = configure(tree, folder, request.settings, options=options)
    if request.settings.mode == "cuda" and not has_cudnn:
        screen.note("cuDNN was not found: this build goes without; name its folder with --cudnn")
    compile_targets(tree, folder, jobs=request.jobs or system.usable_cores(), on_step=screen.step)
    return BuildReport(
        tree=tree.root,
        program=_built_program(folder),
        log=folder.log,
        has_cudnn=has_cudnn,
        layer_types=len(layer_types(folder.program)),
        seconds=time.monotonic() - started,
    )


def _check_patched(tree: Tree, settings: BuildSettings) -> None:
    groups = _COMPILES_WITH | ({"cuda"} if settings.mode == "cuda" else set())
    to_do = [state.id for state in status(tree) if state.state == "to do" and state.group in groups]
    if to_do:
        raise NativeError(
            f"'{tree.root}' does not build on today's machines without {len(to_do)} patches"
            f" ({', '.join(to_do)}): run caffeflow caffe patch {tree.root} first, or give --unpatched"
        )


def _check_tools(tree: Tree, request: BuildRequest) -> list[str]:
    """Checks that everything needed is here, and returns the -D words that say where."""
    if "cmake" not in tree.build_systems:
        raise NativeError(f"'{tree.root}' has no CMakeLists.txt; expected a tree that builds with CMake")
    parts: list[Part] = ["cpu"]
    parts += ["cuda"] if request.settings.mode == "cuda" else []
    parts += ["python"] if request.settings.with_python else []
    toolchain = check_toolchain(cudnn=request.cudnn)
    missing = [each for each in toolchain.missing(parts) if each.name != "cuDNN"]  # a build can do without
    if missing:
        names = ", ".join(each.name for each in missing)
        advice = [each.advice for each in missing if each.advice]
        mends = "; ".join(word for word in (toolchain.install_line(parts), *advice) if word)
        raise NativeError(f"this machine lacks {names}, which building '{tree.root}' needs: {mends}")
    problems = toolchain.problems()
    if problems:
        raise NativeError(problems[0])
    places = Places.of_this_machine()
    options: list[str] = []
    if request.settings.mode == "cuda":
        options += find_cuda(places, cudnn=request.cudnn).cmake_options()
    if request.settings.with_python:
        python, _ = find_python_build(places)
        options += python.cmake_options() if python else []
    return options


def _built_program(folder: BuildFolder) -> Path:
    if not folder.program.is_file():
        raise NativeError(f"the build ended well and made no '{folder.program}'; log: {folder.log}")
    remember_caffe(folder.program)
    return folder.program
