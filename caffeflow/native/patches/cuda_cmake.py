"""CUDA in a tree's build files: which GPUs are built for, and where the libraries are looked for.

What depends on CUDA's version or on folders stands in two CMake files of our own, which Cuda.cmake
includes as soon as CUDA is found; the edits here take out what these replace.
"""

from __future__ import annotations

import re
from typing import Final

from caffeflow.native.patches.own_files import own_file
from caffeflow.native.patches.patch import FileEdit, Patch, PlaceNotFoundError, insert_after, rewrite
from caffeflow.native.tree import Tree

_CUDA_CMAKE: Final = "cmake/Cuda.cmake"
_CUDA_FOUND: Final = r"^[ \t]*set\(HAVE_CUDA[ \t]+TRUE\)[ \t]*\n"
_PTX_READ: Final = re.compile(
    r"^([ \t]*)string\([^\n]*__cuda_arch_ptx[^\n]*\$\{CUDA_ARCH_PTX\}", re.MULTILINE
)
_PTX_DEFAULT: Final = "set(CUDA_ARCH_PTX ${Caffe_newest_gpu_arch})"
# The lines of one assignment that go on behind a backslash, with the comments right above it
_MAKE_ARCHS: Final = r"(?:^#[^\n]*\n)*^CUDA_ARCH[ \t]*:?=(?=[^\n]*compute_)(?:[^\n]*\\\n)*[^\n]*$"
_ALL_MAJOR: Final = (
    "# GPUs that are built for: one of each major kind, and PTX for kinds yet to come.\n"
    "# Before CUDA 11.5, name each, as in: -gencode arch=compute_61,code=sm_61\n"
    "CUDA_ARCH := -arch=all-major"
)


def _has_cuda_cmake(tree: Tree) -> bool:
    return tree.has(_CUDA_CMAKE)


def _include(name: str) -> FileEdit:
    """Returns the edit that includes one of our files where CUDA has just been found."""
    line = f"include(${{CMAKE_CURRENT_LIST_DIR}}/{name})\n"

    def edit(text: str) -> str:
        if line in text:
            return text
        return insert_after(text, _CUDA_FOUND, line, expected="the line 'set(HAVE_CUDA TRUE)'")

    return FileEdit(path=_CUDA_CMAKE, needs=lambda text: line not in text, edit=edit)


def _emit_ptx(text: str) -> str:
    """Adds code for GPUs yet to come wherever all known kinds are built for."""
    if _PTX_DEFAULT in text:
        return text
    place = _PTX_READ.search(text)
    if place is None:
        raise PlaceNotFoundError("the line that reads CUDA_ARCH_PTX into __cuda_arch_ptx")
    added = (
        'if("${__cuda_arch_bin}" STREQUAL "${Caffe_known_gpu_archs}" AND NOT CUDA_ARCH_PTX)',
        f"  {_PTX_DEFAULT}",
        "endif()",
    )
    lines = "".join(f"{place[1]}{line}\n" for line in added)
    return text[: place.start()] + lines + text[place.start() :]


CUDA_CMAKE_PATCHES: Final[tuple[Patch, ...]] = (
    Patch(
        id="cuda-architectures",
        group="cuda",
        reason="The GPU kinds that CMake builds for end in 2016 and nvcc refuses the oldest of them (CUDA 13"
        " begins at 7.5); versions are compared as strings, so that 13.0 counts as older than 9.0.",
        edits=(
            rewrite(
                _CUDA_CMAKE,
                r'^set\(Caffe_known_gpu_archs[ \t]+"[^"\n]*"\)$',
                "# CudaArchitectures.cmake sets it, once CUDA's version is known.",
            ),
            _include("CudaArchitectures.cmake"),
            rewrite(
                _CUDA_CMAKE,
                r'set\(CUDA_ARCH_PTX[ \t]+"\d+"[ \t]+CACHE',
                r'set(CUDA_ARCH_PTX "${Caffe_newest_gpu_arch}" CACHE',
            ),
            FileEdit(path=_CUDA_CMAKE, needs=lambda text: _PTX_DEFAULT not in text, edit=_emit_ptx),
            # Dropping "20" from anywhere in the list would make sm_120 sm_1.
            rewrite(
                _CUDA_CMAKE,
                r'^([ \t]*)string\(COMPARE LESS "\$\{CUDA_VERSION\}" "9\.0" (\w+)\)\n'
                r"[ \t]*if\(NOT \2\)\n(?:[ \t]*string\(REPLACE [^\n]*\n)+[ \t]*endif\(\)$",
                r"""\1if(NOT CUDA_VERSION VERSION_LESS "9.0")
\1  list(REMOVE_ITEM __cuda_arch_bin "20" "21(20)")
\1endif()""",
            ),
            # A GPU of 12.1 is none of 2.1.
            rewrite(
                _CUDA_CMAKE,
                r'string\(REPLACE "2\.1" "2\.1\(2\.0\)"',
                r'string(REGEX REPLACE "(^| )2\\\\.1" "\\\\12.1(2.0)"',
            ),
        ),
        new_files=(own_file("cmake/CudaArchitectures.cmake"),),
        applies=_has_cuda_cmake,
    ),
    Patch(
        id="cuda-libraries",
        group="cuda",
        reason="CMake reads cuDNN's version from a header that lost it in cuDNN 8, and drops cuDNN in silence"
        " where it lies in a plain prefix; CUDNN_DIR names such a prefix, or the folder of the pip wheels.",
        edits=(
            rewrite(
                _CUDA_CMAKE,
                r"^function\(detect_cuDNN\)$[\s\S]*?^endfunction\(\)$",
                "# detect_cuDNN() is in CudaLibraries.cmake.",
            ),
            _include("CudaLibraries.cmake"),
        ),
        new_files=(own_file("cmake/CudaLibraries.cmake"),),
        applies=_has_cuda_cmake,
    ),
    Patch(
        id="cuda-make-architectures",
        group="cuda",
        reason="CUDA_ARCH of Makefile.config names GPU kinds that nvcc has dropped.",
        edits=(rewrite("Makefile.config*", _MAKE_ARCHS, _ALL_MAJOR),),
        applies=lambda tree: tree.has("Makefile.config.example") or tree.has("Makefile.config"),
    ),
)
