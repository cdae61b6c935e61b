"""CUDA's compiler and libraries, and cuDNN, wherever they lie: toolkit, plain prefix, or pip wheels.

The wheels (nvidia-cudnn-cuNN, nvidia-cublas, nvidia-curand) have headers and versioned libraries
only, each in a folder of its own below nvidia/. CMake is given the very files that are found here, so
that what it remembers of an earlier run does not count; on its first run, its own search for CUDA
forgets them, so the folder is named too, for the search of a patched tree.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caffeflow.errors import NativeError
from caffeflow.native.probes import Places, version_by_asking, version_by_header

_USUAL: Final = Path("/usr/local/cuda")
_CUDNN_VERSION: Final = r"define CUDNN_(?:MAJOR|MINOR|PATCHLEVEL) +(\d+)"


@dataclass(frozen=True, kw_only=True)
class Cuda:
    """What was found of CUDA; what is None was not.

    Attributes:
        version: Of nvcc, such as 13.0.
        named: The folder with cuDNN that the user named.
        cudnn: The library.
        cudnn_include: The folder with cudnn.h.
        cublas_include: The folder with cublas_v2.h.
        curand_include: The folder with curand.h.
    """

    nvcc: Path | None
    version: str
    named: Path | None
    cublas: Path | None
    curand: Path | None
    cudnn: Path | None
    cudnn_include: Path | None
    cudnn_version: str
    cublas_include: Path | None
    curand_include: Path | None

    def cmake_options(self) -> list[str]:
        """Returns the -D words that name these files to the CMake files of a patched tree."""
        words = {
            "CUDA_TOOLKIT_ROOT_DIR": _root_of(self.nvcc) if self.nvcc else None,
            "CUDNN_DIR": self.named,
            "CUDA_cublas_LIBRARY": self.cublas,
            "CUDA_cublas_INCLUDE": self.cublas_include,
            "CUDA_curand_LIBRARY": self.curand,
            "CUDA_curand_INCLUDE": self.curand_include,
            "CUDNN_LIBRARY": self.cudnn,
            "CUDNN_INCLUDE": self.cudnn_include,
        }
        return [f"-D{name}={path}" for name, path in words.items() if path]


def find_cuda(places: Places, *, cudnn: Path | None = None) -> Cuda:
    """Looks for CUDA and cuDNN.

    Args:
        places: Where programs and libraries are looked for.
        cudnn: A folder with cuDNN in it, of any layout; searched before everything else.

    Raises:
        NativeError: There is no cuDNN in the folder that was given.
    """
    nvcc = _find_nvcc(places)
    own = _prefixes_in(cudnn) if cudnn else ()
    toolkit = (_root_of(nvcc),) if nvcc else ()
    given = Places(prefixes=own, path="")
    everywhere = places.under(*own, *toolkit)
    named = os.environ.get("CUDNN_ROOT")
    in_cudnn = given if cudnn else everywhere.under(*([Path(named)] if named else []))
    header, library = in_cudnn.find_header(["cudnn.h"]), in_cudnn.find_library(["cudnn"])
    if cudnn and not (header and library):
        raise NativeError(
            f"--cudnn '{cudnn}': found {header or 'no cudnn.h'} and {library or 'no libcudnn.so'}; expected"
            " a folder with include/cudnn.h and lib/libcudnn.so*, or the one into which pip put the wheels"
        )
    is_there = header is not None and library is not None
    cublas_header, curand_header = (
        everywhere.find_header(["cublas_v2.h"]),
        everywhere.find_header(["curand.h"]),
    )
    version_header = in_cudnn.find_header(["cudnn_version.h", "cudnn.h"])
    return Cuda(
        nvcc=nvcc,
        version=version_by_asking(nvcc) if nvcc else "",
        named=cudnn.absolute() if cudnn else None,
        cublas=everywhere.find_library(["cublas"]),
        curand=everywhere.find_library(["curand"]),
        cudnn=library if is_there else None,
        cudnn_include=header.parent if is_there and header else None,
        cudnn_version=version_by_header(version_header, _CUDNN_VERSION) if version_header else "",
        cublas_include=cublas_header.parent if cublas_header else None,
        curand_include=curand_header.parent if curand_header else None,
    )


def _find_nvcc(places: Places) -> Path | None:
    roots = [os.environ.get(name) for name in ("CUDA_PATH", "CUDA_HOME")]
    for root in [*(Path(each) for each in roots if each), *([_USUAL] if places.path else [])]:
        if (root / "bin/nvcc").is_file():
            return root / "bin/nvcc"
    return places.find_program(["nvcc"])


def _root_of(nvcc: Path) -> Path:
    """Returns the toolkit that a compiler belongs to; the one on PATH is often a link, or a script."""
    root = nvcc.resolve().parent.parent
    return root if (root / "include/cuda_runtime.h").is_file() else _USUAL


def _prefixes_in(folder: Path) -> tuple[Path, ...]:
    """Returns the prefixes that a folder may stand for: itself, those below it, and beside it.

    Wheels are unpacked side by side: who names nvidia/cudnn has cuBLAS in nvidia/cu13.
    """
    here = folder.absolute()
    beside = sorted(here.parent.glob("*/include")) if here.parent.name == "nvidia" else []
    inside = [*sorted(here.glob("*/include")), *sorted(here.glob("nvidia/*/include"))]
    return (here, *(include.parent for include in [*inside, *beside]))
