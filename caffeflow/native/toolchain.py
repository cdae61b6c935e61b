"""What building a Caffe tree needs, what of it is on this machine, and the packages that are missing.

The table is Debian's and Ubuntu's package names; nothing is ever installed from here.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from caffeflow.native.cuda_toolkit import find_cuda
from caffeflow.native.probes import Places, version_by_asking, version_by_header, version_by_pkg_config
from caffeflow.native.python_headers import find_python_build

_OLDEST_CMAKE: Final = (3, 14)

Part: TypeAlias = Literal["cpu", "cuda", "python"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a build needs, and whether it is here.

    Attributes:
        name: What it is, in the user's words.
        part: Which builds need it.
        version: Its version, or '' if it does not say.
        path: Where it is; None: it is missing.
        how: How it was found: PATH, pkg-config, header, cmake, or what asked.
        packages: What to give apt-get if it is missing.
        advice: What to do about it where no package helps.
    """

    name: str
    part: Part
    version: str = ""
    path: Path | None = None
    how: str = ""
    packages: tuple[str, ...] = ()
    advice: str = ""

    @property
    def is_missing(self) -> bool:
        """Whether a build that needs it cannot be made."""
        return self.path is None


@dataclass(frozen=True)
class Toolchain:
    """Everything that was looked for."""

    findings: tuple[Finding, ...]

    def missing(self, parts: Iterable[Part]) -> list[Finding]:
        """Returns what builds with these parts need and do not find."""
        wanted = set(parts)
        return [each for each in self.findings if each.is_missing and each.part in wanted]

    def install_line(self, parts: Iterable[Part]) -> str:
        """Returns the one line that installs what is missing, or ''."""
        packages = [package for each in self.missing(parts) for package in each.packages]
        return f"sudo apt-get install {' '.join(dict.fromkeys(packages))}" if packages else ""

    def problems(self) -> list[str]:
        """Returns what is there and does not fit together, a sentence each."""
        by_name = {each.name: each for each in self.findings}
        told: list[str] = []
        protoc, library, cmake = by_name["protoc"], by_name["libprotobuf"], by_name["cmake"]
        if len({_protobuf_release(each.version) for each in (protoc, library) if each.version}) > 1:
            told.append(
                f"protoc {protoc.version} ('{protoc.path}') and libprotobuf {library.version}"
                f" ('{library.path}') are of two releases, and code of the one does not compile with the"
                " other: put the system's first on PATH, or take both from one place"
            )
        if cmake.version and _numbers(cmake.version) < _OLDEST_CMAKE:
            told.append(
                f"cmake {cmake.version} ('{cmake.path}') is older than 3.14, which a patched tree asks for:"
                " take a newer one, as with pip install cmake"
            )
        return told


@dataclass(frozen=True, kw_only=True)
class _Program:
    name: str
    programs: tuple[str, ...]
    package: str
    variable: str = ""  # the environment variable in which CMake takes another one


@dataclass(frozen=True, kw_only=True)
class _Library:
    """A library: one header of `headers`, and of each entry of `libraries` one name of those joined by |."""

    name: str
    headers: tuple[str, ...]
    libraries: tuple[str, ...]
    packages: tuple[str, ...]
    pkg_config: str = ""
    version_in: tuple[str, ...] = ()
    version: str = ""
    cmake: str = ""


_PROGRAMS: Final = (
    _Program(name="C compiler", programs=("cc", "gcc", "clang"), package="gcc", variable="CC"),
    _Program(name="C++ compiler", programs=("c++", "g++", "clang++"), package="g++", variable="CXX"),
    _Program(name="cmake", programs=("cmake",), package="cmake"),
    _Program(name="make", programs=("make", "gmake"), package="make"),
    _Program(name="protoc", programs=("protoc",), package="protobuf-compiler"),
)
_LIBRARIES: Final = (
    _Library(
        name="libprotobuf", headers=("google/protobuf/message.h",), libraries=("protobuf",),
        packages=("libprotobuf-dev",), pkg_config="protobuf",
        version_in=("google/protobuf/runtime_version.h", "google/protobuf/stubs/common.h"),
        version=r"define (?:GOOGLE_PROTOBUF|PROTOBUF)_VERSION (\d+)",
    ),
    _Library(
        name="OpenCV", headers=("opencv4/opencv2/core.hpp", "opencv2/core.hpp", "opencv2/core/core.hpp"),
        libraries=("opencv_core", "opencv_highgui", "opencv_imgproc"), packages=("libopencv-dev",),
        cmake="OpenCV", version_in=("opencv4/opencv2/core/version.hpp", "opencv2/core/version.hpp"),
        version=r"define CV_VERSION_(?:MAJOR|MINOR|REVISION)\s+(\d+)",
    ),
    _Library(
        name="boost", headers=("boost/version.hpp",), libraries=("boost_thread", "boost_filesystem"),
        packages=("libboost-system-dev", "libboost-thread-dev", "libboost-filesystem-dev"),
        version_in=("boost/version.hpp",), version=r'BOOST_LIB_VERSION "([\d_]+)"',
    ),
    _Library(
        name="glog", headers=("glog/logging.h",), libraries=("glog",),
        packages=("libgoogle-glog-dev",), pkg_config="libglog",
    ),
    _Library(
        name="gflags", headers=("gflags/gflags.h",), libraries=("gflags",),
        packages=("libgflags-dev",), pkg_config="gflags",
    ),
    _Library(
        name="HDF5", headers=("hdf5/serial/hdf5.h", "hdf5.h"),
        libraries=("hdf5_serial|hdf5", "hdf5_serial_hl|hdf5_hl"), packages=("libhdf5-dev",),
        version_in=("hdf5/serial/H5public.h", "H5public.h"),
        version=r'H5_VERS_INFO\s+"HDF5 library version: ([\d.]+)',
    ),
    _Library(
        name="LMDB", headers=("lmdb.h",), libraries=("lmdb",), packages=("liblmdb-dev",),
        version_in=("lmdb.h",), version=r"define MDB_VERSION_(?:MAJOR|MINOR|PATCH)\s+(\d+)",
    ),
    _Library(
        name="LevelDB", headers=("leveldb/db.h",), libraries=("leveldb",), packages=("libleveldb-dev",),
        version_in=("leveldb/db.h",), version=r"k(?:Major|Minor)Version = (\d+)",
    ),
    _Library(
        name="snappy", headers=("snappy.h",), libraries=("snappy",), packages=("libsnappy-dev",),
        version_in=("snappy-stubs-public.h",), version=r"define SNAPPY_(?:MAJOR|MINOR|PATCHLEVEL) (\d+)",
    ),
    _Library(
        name="BLAS", headers=("cblas.h", "openblas/cblas.h"), libraries=("openblas",),
        packages=("libopenblas-dev",), pkg_config="openblas",
    ),
)  # fmt: skip


def check_toolchain(*, cudnn: Path | None = None, places: Places | None = None) -> Toolchain:
    """Looks for everything that a CPU build, a CUDA build and the Python module need.

    Args:
        cudnn: Where the user says that cuDNN is.
        places: Where to look; None: the places of this machine.
    """
    where = places or Places.of_this_machine()
    return Toolchain(
        (
            *(_find_program(each, where) for each in _PROGRAMS),
            *(_find_library(each, where) for each in _LIBRARIES),
            *_find_cuda_parts(where, cudnn),
            _find_python(where),
        )
    )


def _find_program(wanted: _Program, places: Places) -> Finding:
    asked = os.environ.get(wanted.variable, "") if wanted.variable else ""
    path = places.find_program((asked,) if asked else wanted.programs)
    return Finding(
        name=wanted.name,
        part="cpu",
        version=version_by_asking(path) if path else "",
        path=path,
        how=wanted.variable if asked else "PATH",
        packages=(wanted.package,),
        advice=f"{wanted.variable}={asked} is no program on PATH" if asked else "",
    )


def _find_library(wanted: _Library, places: Places) -> Finding:
    header = places.find_header(wanted.headers)
    libraries = [places.find_library(names.split("|")) for names in wanted.libraries]
    config = places.find_cmake_config(wanted.cmake) if wanted.cmake else None
    is_there = header is not None and None not in libraries and (config is not None or not wanted.cmake)
    version, how = "", "cmake" if wanted.cmake else "header"
    if is_there:
        version = version_by_pkg_config(wanted.pkg_config, places)
        if version:
            how = "pkg-config"
        elif telling := places.find_header(wanted.version_in):
            version = version_by_header(telling, wanted.version)
    return Finding(
        name=wanted.name,
        part="cpu",
        version=version,
        path=header if is_there else None,
        how=how,
        packages=wanted.packages,
    )


def _find_cuda_parts(places: Places, cudnn: Path | None) -> list[Finding]:
    cuda = find_cuda(places, cudnn=cudnn)
    toolkit = "install NVIDIA's CUDA toolkit, or set CUDA_PATH to it"
    wheels = "unpack it anywhere and name the folder with --cudnn (the wheels nvidia-{} will do)"
    return [
        Finding(name="nvcc", part="cuda", version=cuda.version, path=cuda.nvcc, how="PATH", advice=toolkit),
        Finding(name="cuBLAS", part="cuda", path=cuda.cublas, how="file", advice=wheels.format("cublas")),
        Finding(name="cuRAND", part="cuda", path=cuda.curand, how="file", advice=wheels.format("curand")),
        Finding(
            name="cuDNN", part="cuda", version=cuda.cudnn_version, path=cuda.cudnn, how="header",
            advice=wheels.format("cudnn-cuNN"),
        ),
    ]  # fmt: skip


def _find_python(places: Places) -> Finding:
    build, lacks = find_python_build(places)
    return Finding(
        name="Python for pycaffe",
        part="python",
        version=build.version if build else "",
        path=build.executable if build else None,
        how="asked it",
        packages=() if build else ("python3-dev", "python3-numpy", "libboost-python-dev"),
        advice=lacks,
    )


def _protobuf_release(version: str) -> tuple[int, ...]:
    """Returns a release as (minor, patch): since 21 the languages count their majors apart."""
    numbers = list(_numbers(version))
    if len(numbers) == 3 and numbers[0] < 20:
        numbers = numbers[1:]
    return tuple([*numbers, 0, 0][:2])


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))[:3]
