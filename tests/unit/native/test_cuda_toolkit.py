"""Where CUDA and cuDNN are found, and how they are named to CMake."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.errors import NativeError
from caffeflow.native.cuda_toolkit import find_cuda
from caffeflow.native.probes import Places
from tests.support.toolchains import make_wheels, write_file, write_program

CUDNN = "#define CUDNN_MAJOR 8\n#define CUDNN_MINOR 9\n#define CUDNN_PATCHLEVEL 7\n"


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """Makes a machine with a toolkit and its own cuBLAS and cuRAND, without cuDNN."""
    for name in ("CUDA_HOME", "CUDNN_ROOT"):
        monkeypatch.delenv(name, raising=False)
    toolkit = tmp_path / "cuda"
    monkeypatch.setenv("CUDA_PATH", str(toolkit))
    write_program(toolkit / "bin/nvcc", "Cuda compilation tools, release 12.4, V12.4.131")
    for name in ("cuda_runtime.h", "cublas_v2.h", "curand.h"):
        write_file(toolkit / "include" / name)
    for name in ("cublas", "curand"):
        write_file(toolkit / f"lib64/lib{name}.so")
    return Places(prefixes=(tmp_path / "usr",), path=str(tmp_path / "bin"))


def test_a_toolkit_is_named_file_by_file(tmp_path: Path, places: Places) -> None:
    cuda = find_cuda(places)
    assert (cuda.version, cuda.cudnn) == ("12.4", None)
    assert cuda.cmake_options() == [
        f"-DCUDA_TOOLKIT_ROOT_DIR={tmp_path / 'cuda'}",
        f"-DCUDA_cublas_LIBRARY={tmp_path / 'cuda/lib64/libcublas.so'}",
        f"-DCUDA_cublas_INCLUDE={tmp_path / 'cuda/include'}",
        f"-DCUDA_curand_LIBRARY={tmp_path / 'cuda/lib64/libcurand.so'}",
        f"-DCUDA_curand_INCLUDE={tmp_path / 'cuda/include'}",
    ]


@pytest.mark.parametrize("folder", ["lib", "lib64", "lib/x86_64-linux-gnu"])
def test_a_plain_prefix_with_cudnn(tmp_path: Path, places: Places, folder: str) -> None:
    prefix = tmp_path / "cudnn-8"
    write_file(prefix / "include/cudnn.h", CUDNN)
    library = write_file(prefix / folder / "libcudnn.so")
    write_file(prefix / folder / "libcudnn.so.8")
    cuda = find_cuda(places, cudnn=prefix)
    assert cuda.cudnn_version == "8.9.7"
    assert f"-DCUDNN_INCLUDE={prefix / 'include'}" in cuda.cmake_options()
    assert f"-DCUDNN_LIBRARY={library}" in cuda.cmake_options()


def test_wheels_bring_what_the_toolkit_lacks(tmp_path: Path, places: Places) -> None:
    for name in ("include/cublas_v2.h", "include/curand.h", "lib64/libcublas.so", "lib64/libcurand.so"):
        (tmp_path / "cuda" / name).unlink()  # as where only the compiler was installed
    wheels = make_wheels(tmp_path / "wheels") / "nvidia"
    assert find_cuda(places, cudnn=wheels.parent).cmake_options()[1:] == [
        f"-DCUDNN_DIR={wheels.parent}",
        f"-DCUDA_cublas_LIBRARY={wheels / 'cu13/lib/libcublas.so.13'}",
        f"-DCUDA_cublas_INCLUDE={wheels / 'cu13/include'}",
        f"-DCUDA_curand_LIBRARY={wheels / 'cu13/lib/libcurand.so.10'}",
        f"-DCUDA_curand_INCLUDE={wheels / 'cu13/include'}",
        f"-DCUDNN_LIBRARY={wheels / 'cudnn/lib/libcudnn.so.9'}",
        f"-DCUDNN_INCLUDE={wheels / 'cudnn/include'}",
    ]


def test_cudnn_root_is_searched_without_being_asked_for(
    tmp_path: Path, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file(tmp_path / "mine/include/cudnn.h", CUDNN)
    library = write_file(tmp_path / "mine/lib/libcudnn.so")
    monkeypatch.setenv("CUDNN_ROOT", str(tmp_path / "mine"))
    assert find_cuda(places).cudnn == library


def test_a_folder_without_cudnn_is_refused_with_what_it_has(tmp_path: Path, places: Places) -> None:
    header = write_file(tmp_path / "half/include/cudnn.h", CUDNN)
    with pytest.raises(NativeError, match=f"found {header} and no libcudnn.so"):
        find_cuda(places, cudnn=tmp_path / "half")
