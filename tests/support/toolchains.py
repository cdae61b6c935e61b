"""Machines made of small files: a prefix with headers and libraries, programs that tell a version."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from caffeflow.native.probes import Places

HEADERS = {
    "google/protobuf/message.h": "",
    "google/protobuf/stubs/common.h": "#define GOOGLE_PROTOBUF_VERSION 3021012\n",
    "opencv4/opencv2/core.hpp": "",
    "opencv4/opencv2/core/version.hpp": (
        "#define CV_VERSION_MAJOR    4\n#define CV_VERSION_MINOR    6\n#define CV_VERSION_REVISION 0\n"
    ),
    "boost/version.hpp": '#define BOOST_LIB_VERSION "1_74"\n',
    "glog/logging.h": "",
    "gflags/gflags.h": "",
    "hdf5/serial/hdf5.h": "",
    "hdf5/serial/H5public.h": '#define H5_VERS_INFO "HDF5 library version: 1.10.8"\n',
    "lmdb.h": "#define MDB_VERSION_MAJOR\t0\n#define MDB_VERSION_MINOR\t9\n#define MDB_VERSION_PATCH\t24\n",
    "leveldb/db.h": "static const int kMajorVersion = 1;\nstatic const int kMinorVersion = 23;\n",
    "snappy.h": "",
    "snappy-stubs-public.h": "#define SNAPPY_MAJOR 1\n#define SNAPPY_MINOR 1\n#define SNAPPY_PATCHLEVEL 9\n",
    "x86_64-linux-gnu/cblas.h": "",
}
LIBRARIES = (
    "protobuf", "opencv_core", "opencv_highgui", "opencv_imgproc", "boost_thread", "boost_filesystem",
    "glog", "gflags", "hdf5_serial", "hdf5_serial_hl", "lmdb", "leveldb", "snappy", "openblas",
)  # fmt: skip
PROGRAMS = {
    "c++": "c++ (Debian 12.2.0-14+deb12u1) 12.2.0",
    "cc": "cc (Debian 12.2.0-14+deb12u1) 12.2.0",
    "cmake": "cmake version 3.25.1",
    "make": "GNU Make 4.3",
    "protoc": "libprotoc 3.21.12",
}


def write_file(path: Path, text: str = "") -> Path:
    """Writes a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def write_program(path: Path, answer: str, *, code: int = 0) -> Path:
    """Writes a program that says one thing whatever it is asked."""
    write_file(path, f"#!/bin/sh\necho '{answer}'\nexit {code}\n").chmod(0o755)
    return path


def make_machine(root: Path) -> Places:
    """Makes a machine below a folder that has all that a CPU build needs, and returns its places."""
    for name, text in HEADERS.items():
        write_file(root / "usr/include" / name, text)
    for name in LIBRARIES:
        write_file(root / f"usr/lib/x86_64-linux-gnu/lib{name}.so")
    write_file(root / "usr/lib/x86_64-linux-gnu/cmake/opencv4/OpenCVConfig.cmake")
    for name, answer in PROGRAMS.items():
        write_program(root / "bin" / name, answer)
    return Places(prefixes=(root / "usr",), path=str(root / "bin"))


def make_this_machine(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Gives this machine every library that Caffe needs, beside its own compiler, make and CMake."""
    make_machine(root)
    for name in ("cc", "c++", "cmake", "make"):
        (root / "bin" / name).unlink()
    write_program(root / "bin/pkg-config", "", code=1)
    monkeypatch.setenv("PATH", f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CMAKE_PREFIX_PATH", str(root / "usr"))
    monkeypatch.delenv("CXX", raising=False)
    return root


def make_wheels(root: Path) -> Path:
    """Makes the folder into which pip put cuDNN, cuBLAS and cuRAND, and returns it."""
    version = "#define CUDNN_MAJOR 9\n#define CUDNN_MINOR 27\n#define CUDNN_PATCHLEVEL 0\n"
    write_file(root / "nvidia/cudnn/include/cudnn.h", '#include "cudnn_version.h"\n')
    write_file(root / "nvidia/cudnn/include/cudnn_version.h", version)
    for path in ("cudnn/lib/libcudnn.so.9", "cu13/lib/libcublas.so.13", "cu13/lib/libcurand.so.10"):
        write_file(root / "nvidia" / path)
    for name in ("cublas_v2.h", "curand.h"):
        write_file(root / "nvidia/cu13/include" / name)
    return root
