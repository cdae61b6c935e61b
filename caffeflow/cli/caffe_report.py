"""How the commands of the native side show what they found: tables for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table

from caffeflow.native.patching import PatchState
from caffeflow.native.toolchain import Finding
from caffeflow.report.tables import table
from caffeflow.workflows.caffe_doctor import Diagnosis, facts
from caffeflow.workflows.caffe_test import TestReport

_NEEDED_FOR = {"cpu": "", "cuda": "--cuda only", "python": "--python only"}


def render_diagnosis(diagnosis: Diagnosis) -> RenderableType:
    """Returns what a tree is, its patches, and the tools of this machine."""
    about = Table.grid(padding=(0, 2))
    for name, value in facts(diagnosis.tree).items():
        about.add_row(name, value)
    about.add_row("patches", summary_of(diagnosis.patches))
    wanted = [*diagnosis.patches_to_do, *diagnosis.stuck]
    tools = table(["needed", "version", "where", "found by", ""], map(_row, diagnosis.toolchain.findings))
    return Group(about, *([render_patches(wanted)] if wanted else []), tools)


def render_patches(states: Sequence[PatchState]) -> RenderableType:
    """Returns patches with how they stand and why they exist."""
    return table(
        ["patch", "state", "why"], [(each.id, each.state, each.why_not or each.reason) for each in states]
    )


def summary_of(states: Sequence[PatchState]) -> str:
    """Returns how many patches stand how, such as `8 to do, 3 not needed`."""
    counts = Counter(state.state for state in states)
    return ", ".join(f"{count} {state}" for state, count in counts.items()) or "none"


def render_tests(report: TestReport) -> RenderableType:
    """Returns passed and failed by fixture; where all is well, only the sum."""
    passed, failed = report.passed, len(report.failed)
    total = f"{passed} of {report.planned} C++ tests passed, {failed} failed, {report.seconds:.0f} s"
    bad = [each for each in report.fixtures if each.failed]
    if not bad:
        return f"{total}; {len(report.fixtures)} fixtures"
    rows = [(each.name, str(each.passed), str(each.failed)) for each in bad]
    return Group(
        table(["fixture", ">passed", ">failed"], rows), *(f"failed: {test}" for test in report.failed), total
    )


def _row(finding: Finding) -> tuple[str, ...]:
    part = _NEEDED_FOR[finding.part]
    if finding.path:
        return finding.name, finding.version, str(finding.path), finding.how, part
    mended_by = f"apt-get install {' '.join(finding.packages)}" if finding.packages else finding.advice
    return finding.name, "", "missing", "", f"{part}: {mended_by}" if part else mended_by
