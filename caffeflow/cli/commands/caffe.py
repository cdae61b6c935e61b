"""`caffeflow caffe doctor`, `patch`, `build` and `test`: the user's own Caffe tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from caffeflow.cli import console, options
from caffeflow.errors import CheckError, UsageError

if TYPE_CHECKING:
    from caffeflow.workflows.caffe_build import BuildReport

_TREE: Final = click.argument("tree", type=options.FOLDER)
_CUDNN: Final = click.option(
    "--cudnn", type=options.FOLDER, help="Where cuDNN is: a prefix, or the folder with pip's wheels."
)
_JOBS: Final = click.option(
    "--jobs", type=click.IntRange(min=1), help="Compilers at once [default: one a core]."
)
_ALL_DONE: Final = "nothing to do: every patch that this tree needs is there"


@click.group("caffe", epilog="Example: caffeflow caffe doctor ~/caffe")
def command() -> None:
    """Patch, build and test your own Caffe tree on today's tool chain."""


@command.command(epilog="Example: caffeflow caffe doctor ~/caffe")
@_TREE
@_CUDNN
@options.json_output
def doctor(tree: Path, cudnn: Path | None, as_json: bool) -> None:
    """Say what a tree is, which patches it needs, and what this machine lacks to build it.

    Nothing is changed. Ends with 1 if a CPU build lacks something.
    """
    from caffeflow.workflows.caffe_doctor import examine, to_json

    diagnosis = examine(tree, cudnn=cudnn)
    if as_json:
        console.json(to_json(diagnosis))
    else:
        from caffeflow.cli.caffe_report import render_diagnosis

        console.result(render_diagnosis(diagnosis))
        for problem in diagnosis.toolchain.problems():
            console.warning(problem)
    if diagnosis.missing:
        names = ", ".join(each.name for each in diagnosis.missing)
        raise CheckError(f"a build lacks {names}: {diagnosis.install_line}")
    if not as_json:
        console.result(f"next: {diagnosis.next_step}")


@command.command(epilog="Example: caffeflow caffe patch ~/caffe --dry-run")
@_TREE
@click.option("--list", "as_list", is_flag=True, help="Show every patch, its reason and how it stands.")
@click.option("--only", metavar="ID", multiple=True, help="Apply this patch; may be repeated.")
@click.option("--skip", metavar="ID", multiple=True, help="Leave this patch out; may be repeated.")
@click.option("--undo", is_flag=True, help="Give the tree back as it was, byte for byte.")
@options.dry_run
@options.json_output
def patch(
    tree: Path,
    as_list: bool,
    only: tuple[str, ...],
    skip: tuple[str, ...],
    undo: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Edit a tree so that it builds here, and give it our layers; --dry-run shows the changes as a diff.

    The files as they were are kept in the tree, so that --undo restores them. Patching twice changes
    nothing.
    """
    from caffeflow.workflows import caffe_patch

    if as_list + dry_run + undo > 1:
        raise UsageError("--list, --dry-run and --undo were given together; give one")
    if (as_list or undo) and (only or skip):
        raise UsageError("--only and --skip choose what is applied; --list and --undo are about all patches")
    if as_list:
        _show_list(tree, as_json=as_json)
    elif dry_run:
        changes = caffe_patch.show_changes(tree, only=only, skip=skip)
        _tell({"diff": changes}, changes.rstrip("\n") or _ALL_DONE, as_json=as_json)
    elif undo:
        files = caffe_patch.undo_patches(tree)
        _tell({"restored": files}, f"{len(files)} files are as they were", as_json=as_json)
    else:
        report = caffe_patch.patch_tree(tree, only=only, skip=skip)
        done = f"{len(report.patches)} patches in {len(report.files)} files: {', '.join(report.patches)}"
        record = {"patches": list(report.patches), "files": list(report.files)}
        _tell(record, done if report.patches else _ALL_DONE, as_json=as_json)


def _tell(record: dict[str, Any], text: str, *, as_json: bool) -> None:
    if as_json:
        console.json(record)
    else:
        console.plain(text)


def _show_list(tree: Path, *, as_json: bool) -> None:
    from dataclasses import asdict

    from caffeflow.workflows.caffe_patch import list_patches

    states = list_patches(tree)
    if as_json:
        console.json([asdict(state) for state in states])
        return
    from caffeflow.cli.caffe_report import render_patches

    console.result(render_patches(states))


@command.command(epilog="Example: caffeflow caffe build ~/caffe --cpu --jobs 4")
@_TREE
@click.option("--cpu", "mode", flag_value="cpu", help="Build without CUDA.")
@click.option("--cuda", "mode", flag_value="cuda", help="Build with CUDA, and with cuDNN if it is there.")
@click.option("--arch", default="auto", show_default=True, help="GPU kinds, as 90 or 75,90.")
@_CUDNN
@_JOBS
@click.option("--python", "with_python", is_flag=True, help="Build the Python module too.")
@click.option("--unpatched", is_flag=True, help="Build although patches are to do.")
@options.json_output
def build(
    tree: Path,
    mode: Literal["cpu", "cuda"] | None,
    arch: str,
    cudnn: Path | None,
    jobs: int | None,
    with_python: bool,
    unpatched: bool,
    as_json: bool,
) -> None:
    """Build a patched tree in its build folder, and remember the program for --engine caffe.

    What is missing is told first; nothing is installed. A stopped or failed build goes on where it was.
    """
    if mode is None:
        raise UsageError("what to build is not said; give --cpu or --cuda")
    from caffeflow.native.build import BuildSettings
    from caffeflow.workflows.caffe_build import BuildRequest, build_tree

    request = BuildRequest(
        tree=tree,
        settings=BuildSettings(mode=mode, arch=arch, with_python=with_python),
        cudnn=cudnn,
        jobs=jobs,
        unpatched=unpatched,
    )
    with _screen() as screen:
        report = build_tree(request, screen)
    if as_json:
        console.json(_build_as_json(report))
        return
    console.plain(f"built {report.program} in {report.seconds:.0f} s; {report.layer_types} layer types")
    console.note("caffeflow train --engine caffe finds it from now on")
    if with_python:
        console.note(f"its Python module: PYTHONPATH={report.tree / 'python'}")


def _build_as_json(report: BuildReport) -> dict[str, object]:
    return {
        "program": str(report.program),
        "log": str(report.log),
        "cudnn": report.has_cudnn,
        "layer_types": report.layer_types,
        "seconds": round(report.seconds, 1),
    }


@command.command(epilog="Example: caffeflow caffe test ~/caffe --filter 'Depthwise*'")
@_TREE
@click.option("--filter", "wanted", default="*", help="Which tests, as gtest's own filter [default: all].")
@_JOBS
@options.json_output
def test(tree: Path, wanted: str, jobs: int | None, as_json: bool) -> None:
    """Build the C++ tests of a built tree and run them; ours are among them.

    Those of the GPU are left out where there is none. Ends with 1 if a test fails. What was compiled
    stays when you stop it; the tests themselves run from the first one again, or with --filter in part.
    """
    from caffeflow.workflows.caffe_test import run_tests, to_json

    with _screen() as screen:
        report = run_tests(tree, screen, wanted=wanted, jobs=jobs)
    if as_json:
        console.json(to_json(report))
    else:
        from caffeflow.cli.caffe_report import render_tests

        console.result(render_tests(report))
    if report.died:
        raise CheckError(f"the tests of '{report.tree}' died {report.died}; log: {report.log}")
    if not report.is_good:
        what = f"{len(report.failed)} failed" if report.planned else f"no test is called '{wanted}'"
        raise CheckError(f"the tests of '{report.tree}': {what}; log: {report.log}")


class _Screen:
    """A bar on a terminal, else a line for every file and every hundred tests."""

    def __init__(self) -> None:
        self._opened = ExitStack()
        self._bars: dict[str, console.ProgressBar] = {}

    def note(self, text: str) -> None:
        console.note(text)

    def step(self, percent: int, what: str) -> None:
        if console.is_terminal():
            self._bar("build", total=100, unit="%").update(percent, note=what)
        else:
            console.line(f"[{percent:3d}%] {what}")

    def tested(self, done: int, total: int, running: str) -> None:
        self._bar("test", total=total, unit="tests").update(done, note=running)

    def close(self) -> None:
        self._opened.close()

    def _bar(self, name: str, *, total: int, unit: str) -> console.ProgressBar:
        if name not in self._bars:
            self._opened.close()  # one bar at a time
            self._bars[name] = self._opened.enter_context(console.progress(name, total=total, unit=unit))
        return self._bars[name]


@contextmanager
def _screen() -> Iterator[_Screen]:
    screen = _Screen()
    try:
        yield screen
    finally:
        screen.close()
