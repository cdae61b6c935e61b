"""`caffeflow caffe doctor`: what a tree is, what breaks here, what is missing, what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from caffeflow.native.patching import PatchState, status
from caffeflow.native.toolchain import Finding, Toolchain, check_toolchain
from caffeflow.native.tree import KIND_NAMES, Tree, open_tree

# What `Tree.build_systems` means for the user: only builds with CMake are mended, and run by `build`.
_BUILDS_WITH: Final = {
    ("cmake", "make"): "CMake; its Makefile stays as it is, but for the list of GPU kinds",
    ("cmake",): "CMake",
    ("make",): "a Makefile alone, which caffeflow neither mends nor runs; sources are mended",
    (): "nothing that is known",
}


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """A tree on this machine."""

    tree: Tree
    patches: tuple[PatchState, ...]
    toolchain: Toolchain

    @property
    def patches_to_do(self) -> list[PatchState]:
        """The patches that are still to be applied."""
        return [state for state in self.patches if state.state == "to do"]

    @property
    def stuck(self) -> list[PatchState]:
        """The patches that this tree needs and that do not know how."""
        return [state for state in self.patches if state.state == "cannot"]

    @property
    def missing(self) -> list[Finding]:
        """What a CPU build needs and this machine lacks."""
        return self.toolchain.missing(["cpu"])

    @property
    def install_line(self) -> str:
        """The one line that installs it, or ''."""
        return self.toolchain.install_line(["cpu"])

    @property
    def next_step(self) -> str:
        """What to do now: a command, where there is one."""
        if self.missing:
            return self.install_line
        if self.patches_to_do:
            return f"caffeflow caffe patch {self.tree.root}"
        if "cmake" in self.tree.build_systems:
            return f"caffeflow caffe build {self.tree.root} --cpu"
        return "build it as its owner does: it has no CMakeLists.txt, which caffeflow caffe build needs"


def examine(path: Path, *, cudnn: Path | None = None) -> Diagnosis:
    """Looks at a tree and at this machine; changes nothing.

    Args:
        path: The tree.
        cudnn: Where cuDNN is, if it is not where compilers look.

    Raises:
        NativeError: It is no Caffe tree.
    """
    tree = open_tree(path)
    return Diagnosis(tree=tree, patches=tuple(status(tree)), toolchain=check_toolchain(cudnn=cudnn))


def facts(tree: Tree) -> dict[str, str]:
    """Returns what a tree is, a line each."""
    relu6 = "has ReLU6" if tree.has_relu6 else "no ReLU6"
    lines = {
        "tree": str(tree.root),
        "what": f"{KIND_NAMES[tree.kind]}, version {tree.version}",
        "layers": f"{len(tree.layer_types)} types, {'with' if tree.has_ssd else 'without'} SSD's, {relu6}",
        "builds with": _BUILDS_WITH[tree.build_systems],
    }
    if tree.foreign_params:
        lines["fork's own"] = ", ".join(sorted(tree.foreign_params))
    return lines


def to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Returns a diagnosis for other programs."""
    tree = diagnosis.tree
    return {
        "tree": {
            "path": str(tree.root),
            "kind": tree.kind,
            "version": tree.version,
            "has_ssd": tree.has_ssd,
            "has_relu6": tree.has_relu6,
            "layer_types": sorted(tree.layer_types),
            "build_systems": list(tree.build_systems),
        },
        "patches": [
            {"id": each.id, "group": each.group, "state": each.state, "reason": each.reason}
            | ({"why_not": each.why_not} if each.why_not else {})
            for each in diagnosis.patches
        ],
        "tools": [_finding_as_json(each) for each in diagnosis.toolchain.findings],
        "problems": diagnosis.toolchain.problems(),
        "install": diagnosis.install_line,
        "next": diagnosis.next_step,
    }


def _finding_as_json(finding: Finding) -> dict[str, Any]:
    return {
        "name": finding.name,
        "needed_for": finding.part,
        "version": finding.version,
        "path": str(finding.path) if finding.path else None,
        "found_by": finding.how if finding.path else None,
        "packages": list(finding.packages),
    }
