"""What is found on a machine, what is missing, and what would install it."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.native.probes import Places
from caffeflow.native.toolchain import Toolchain, check_toolchain
from tests.support.toolchains import make_machine, make_wheels, write_file, write_program


@pytest.fixture(autouse=True)
def no_settings_of_mine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CC", "CXX", "CUDA_PATH", "CUDA_HOME", "CUDNN_ROOT", "CMAKE_PREFIX_PATH", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)


def versions(toolchain: Toolchain) -> dict[str, str]:
    return {each.name: each.version for each in toolchain.findings if each.part == "cpu"}


def test_a_whole_machine_is_told_with_versions(tmp_path: Path) -> None:
    toolchain = check_toolchain(places=make_machine(tmp_path))
    assert toolchain.missing(["cpu"]) == []
    assert toolchain.install_line(["cpu"]) == ""
    assert toolchain.problems() == []
    assert versions(toolchain) == {
        "C compiler": "12.2.0", "C++ compiler": "12.2.0", "cmake": "3.25.1", "make": "4.3",
        "protoc": "3.21.12", "libprotobuf": "3.21.12", "OpenCV": "4.6.0", "boost": "1.74", "glog": "",
        "gflags": "", "HDF5": "1.10.8", "LMDB": "0.9.24", "LevelDB": "1.23", "snappy": "1.1.9", "BLAS": "",
    }  # fmt: skip


def test_pkg_config_is_believed_before_headers(tmp_path: Path) -> None:
    places = make_machine(tmp_path)
    write_program(tmp_path / "bin/pkg-config", "0.6.0")
    found = {each.name: each for each in check_toolchain(places=places).findings}
    assert (found["glog"].version, found["glog"].how) == ("0.6.0", "pkg-config")
    write_program(tmp_path / "bin/pkg-config", "not in the search path", code=1)
    found = {each.name: each for each in check_toolchain(places=places).findings}
    assert (found["libprotobuf"].version, found["libprotobuf"].how) == ("3.21.12", "header")


@pytest.mark.parametrize(
    ("gone", "package"),
    [
        ("bin/protoc", "protobuf-compiler"),
        ("bin/c++", "g++"),
        ("usr/include/lmdb.h", "liblmdb-dev"),
        ("usr/lib/x86_64-linux-gnu/libhdf5_serial_hl.so", "libhdf5-dev"),
        ("usr/lib/x86_64-linux-gnu/cmake/opencv4/OpenCVConfig.cmake", "libopencv-dev"),
        (
            "usr/lib/x86_64-linux-gnu/libboost_thread.so",
            "libboost-system-dev libboost-thread-dev libboost-fil",
        ),
    ],
)
def test_a_missing_half_is_missing_and_its_package_named(tmp_path: Path, gone: str, package: str) -> None:
    places = make_machine(tmp_path)
    (tmp_path / gone).unlink()
    toolchain = check_toolchain(places=places)
    assert len(toolchain.missing(["cpu"])) == 1
    assert toolchain.install_line(["cpu"]).startswith(f"sudo apt-get install {package}")


def test_one_line_installs_everything(tmp_path: Path) -> None:
    toolchain = check_toolchain(places=Places(prefixes=(tmp_path,), path=str(tmp_path)))
    line = toolchain.install_line(["cpu"])
    assert "\n" not in line
    assert len(line.split()) == 3 + 17
    assert len(set(line.split())) == len(line.split())


def test_parts_that_are_not_built_are_not_missed(tmp_path: Path) -> None:
    toolchain = check_toolchain(places=make_machine(tmp_path))
    assert toolchain.missing(["cpu"]) == []
    assert [each.name for each in toolchain.missing(["cuda"])][-2:] == ["cuRAND", "cuDNN"]
    assert all("--cudnn" in each.advice for each in toolchain.missing(["cuda"])[-3:])


@pytest.mark.parametrize(
    ("protoc", "header", "fits"),
    [
        ("libprotoc 3.21.12", "GOOGLE_PROTOBUF_VERSION 3021012", True),
        ("libprotoc 25.1", "GOOGLE_PROTOBUF_VERSION 4025001", True),
        ("libprotoc 29.3", "PROTOBUF_VERSION 5029003", True),
        ("libprotoc 3.6.1", "GOOGLE_PROTOBUF_VERSION 3006001", True),
        ("libprotoc 3.6.1", "GOOGLE_PROTOBUF_VERSION 3021012", False),
        ("libprotoc 29.3", "GOOGLE_PROTOBUF_VERSION 3021012", False),
    ],
)
def test_a_protoc_of_another_release_is_told(tmp_path: Path, protoc: str, header: str, fits: bool) -> None:
    places = make_machine(tmp_path)
    write_program(tmp_path / "bin/protoc", protoc)
    write_file(tmp_path / "usr/include/google/protobuf/stubs/common.h", f"#define {header}\n")
    problems = check_toolchain(places=places).problems()
    assert (problems == []) is fits
    assert all(protoc.split()[1] in problem for problem in problems)


@pytest.mark.parametrize(("version", "fits"), [("3.13.4", False), ("3.14.0", True), ("4.1.2", True)])
def test_a_cmake_that_a_patched_tree_refuses_is_told(tmp_path: Path, version: str, fits: bool) -> None:
    places = make_machine(tmp_path)
    write_program(tmp_path / "bin/cmake", f"cmake version {version}")
    problems = check_toolchain(places=places).problems()
    assert (problems == []) is fits
    assert all(version in problem for problem in problems)


def test_another_compiler_asked_for_by_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places = make_machine(tmp_path)
    monkeypatch.setenv("CXX", "clang++-14")
    missing = check_toolchain(places=places).missing(["cpu"])
    assert [(each.name, each.advice) for each in missing] == [
        ("C++ compiler", "CXX=clang++-14 is no program on PATH")
    ]
    write_program(tmp_path / "bin/clang++-14", "Debian clang version 14.0.6")
    assert versions(check_toolchain(places=places))["C++ compiler"] == "14.0.6"


def test_wheels_are_found_whichever_folder_of_theirs_is_named(tmp_path: Path) -> None:
    places = make_machine(tmp_path / "machine")
    write_program(tmp_path / "cuda/bin/nvcc", "Cuda compilation tools, release 13.0, V13.0.88")
    wheels = make_wheels(tmp_path / "site-packages")
    places = Places(prefixes=places.prefixes, path=f"{places.path}:{tmp_path / 'cuda/bin'}")
    for named in (wheels, wheels / "nvidia", wheels / "nvidia/cudnn"):
        found = {each.name: each for each in check_toolchain(cudnn=named, places=places).findings}
        assert found["cuDNN"].version == "9.27.0"
        assert found["cuDNN"].path == wheels / "nvidia/cudnn/lib/libcudnn.so.9"
        assert found["cuBLAS"].path == wheels / "nvidia/cu13/lib/libcublas.so.13"
        assert found["cuRAND"].path == wheels / "nvidia/cu13/lib/libcurand.so.10"
