from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from caffeflow.errors import NativeError
from caffeflow.native.patches.cuda_cmake import CUDA_CMAKE_PATCHES
from caffeflow.native.patching import apply, plan, status, undo
from caffeflow.native.tree import Tree
from tests.support.cuda_trees import CUDA_CMAKE, write_cuda_tree, write_wheels

PATCHES = {patch.id: patch for patch in CUDA_CMAKE_PATCHES}
needs_cmake = pytest.mark.skipif(shutil.which("cmake") is None, reason="no cmake here")
# Only the folders of the test are looked into, whatever this machine has.
HERMETIC = (
    "set(CMAKE_FIND_USE_SYSTEM_ENVIRONMENT_PATH OFF)\n"
    "set(CMAKE_FIND_USE_CMAKE_SYSTEM_PATH OFF)\n"
    "set(CMAKE_FIND_LIBRARY_PREFIXES lib)\n"
    "set(CMAKE_FIND_LIBRARY_SUFFIXES .so .a)\n"
)


def patched(tree: Tree) -> Tree:
    apply(tree, plan(tree, patches=PATCHES))
    return tree


def ask_cmake(tree: Tree, **settings: object) -> tuple[int, dict[str, str]]:
    """Returns the exit code of the tree's Cuda.cmake, and what it told by topic; stderr is one."""
    script = tree.root / "ask.cmake"
    script.write_text(
        f"set(CUDA_FOUND TRUE)\n{HERMETIC}include(${{CMAKE_CURRENT_LIST_DIR}}/cmake/Cuda.cmake)\n"
    )
    words = [f"-D{name}={value}" for name, value in settings.items()]
    done = subprocess.run(["cmake", *words, "-P", str(script)], check=False, capture_output=True, text=True)
    told = dict(line[3:].split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    return done.returncode, {**told, "stderr": " ".join(done.stderr.split())}


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    return write_wheels(tmp_path / "site-packages")


@needs_cmake
@pytest.mark.parametrize(
    ("version", "gpus"),
    [
        ("8.0", "20;21(20);30;35;50;60;61 ptx 61"),
        ("9.2", "30;35;50;60;61;70 ptx 70"),
        ("10.1", "30;35;50;60;61;70;75 ptx 75"),
        ("11.2", "35;50;60;61;70;75;80 ptx 80"),
        ("12.4", "50;60;61;70;75;80;90 ptx 90"),
        ("12.8", "50;60;61;70;75;80;90;100;120 ptx 120"),
        ("13.0", "75;80;90;100;120 ptx 120"),
    ],
)
def test_all_gpus_are_those_of_the_cuda_version(
    tmp_path: Path, wheels: Path, version: str, gpus: str
) -> None:
    tree = patched(write_cuda_tree(tmp_path / "caffe"))
    code, told = ask_cmake(tree, CUDA_VERSION=version, CUDA_ARCH_NAME="All", CUDNN_DIR=wheels)
    assert (code, told["gpus"]) == (0, gpus)


@needs_cmake
@pytest.mark.parametrize(
    ("settings", "gpus"),
    [
        ({"CUDA_ARCH_NAME": "Manual", "CUDA_ARCH_BIN": "12.0", "CUDA_ARCH_PTX": "9.0"}, "120 ptx 90"),
        ({"CUDA_ARCH_NAME": "Manual", "CUDA_ARCH_BIN": "20 9.0"}, "90 ptx 120"),
        ({"CUDA_ARCH_NAME": "Auto", "DETECTED": "9.0 12.1"}, "90;121 ptx"),
    ],
)
def test_gpus_that_are_named_or_found_are_built_for(
    tmp_path: Path, wheels: Path, settings: dict[str, str], gpus: str
) -> None:
    tree = patched(write_cuda_tree(tmp_path / "caffe"))
    code, told = ask_cmake(tree, CUDA_VERSION="13.0", CUDNN_DIR=wheels, **settings)
    assert (code, told["gpus"].strip()) == (0, gpus)


@needs_cmake
def test_without_the_patch_the_gpus_are_wrong(tmp_path: Path) -> None:
    """The small tree has the faults that the patch is for."""
    tree = write_cuda_tree(tmp_path)
    for settings, gpus in (
        ({"CUDA_ARCH_NAME": "Manual", "CUDA_ARCH_BIN": "12.0"}, "120 ptx 50"),
        ({"CUDA_ARCH_NAME": "Auto", "DETECTED": "12.1"}, "121(20) ptx"),
    ):
        assert ask_cmake(tree, CUDA_VERSION="13.0", **settings)[1]["gpus"].strip() == gpus
    kept = ask_cmake(tree, CUDA_VERSION="9.2", CUDA_ARCH_NAME="Manual", CUDA_ARCH_BIN="12.0")
    assert kept[1]["gpus"] == "1 ptx 50"


@needs_cmake
@pytest.mark.parametrize("place", [".", "nvidia", "nvidia/cudnn"])
def test_libraries_are_found_in_wheels_by_any_of_their_folders(
    tmp_path: Path, wheels: Path, place: str
) -> None:
    tree = patched(write_cuda_tree(tmp_path / "caffe"))
    code, told = ask_cmake(tree, CUDA_VERSION="13.0", CUDNN_DIR=f"{wheels / place}/")
    nvidia = wheels / "nvidia"
    assert code == 0, told["stderr"]
    assert told["cudnn"] == f"TRUE 9.28.3 {nvidia}/cudnn/include {nvidia}/cudnn/lib/libcudnn.so.9"
    assert told["cublas"] == f"{nvidia}/cu13/lib/libcublas.so.13"
    assert told["curand"] == f"{nvidia}/cu13/lib/libcurand.so.10"
    assert told["includes"] == f"{nvidia}/cu13/include"


@needs_cmake
def test_an_old_cudnn_in_a_plain_prefix_is_found(tmp_path: Path, wheels: Path) -> None:
    prefix = tmp_path / "cudnn7"
    for path, text in {
        "include/cudnn.h": "#define CUDNN_MAJOR 7\n#define CUDNN_MINOR 6\n#define CUDNN_PATCHLEVEL 5\n",
        "lib64/libcudnn.so": "",
        "lib64/libcudnn.so.7": "",
    }.items():
        (prefix / path).parent.mkdir(parents=True, exist_ok=True)
        (prefix / path).write_text(text)
    tree = patched(write_cuda_tree(tmp_path / "caffe"))
    code, told = ask_cmake(tree, CUDA_VERSION="10.0", CUDNN_DIR=f"{prefix};{wheels}")
    assert code == 0, told["stderr"]
    assert told["cudnn"] == f"TRUE 7.6.5 {prefix}/include {prefix}/lib64/libcudnn.so"


@needs_cmake
def test_a_named_folder_without_cudnn_is_an_error(tmp_path: Path, wheels: Path) -> None:
    shutil.rmtree(wheels / "nvidia/cudnn")
    tree = patched(write_cuda_tree(tmp_path / "caffe"))
    code, told = ask_cmake(tree, CUDA_VERSION="13.0", CUDNN_DIR=wheels)
    assert code != 0
    assert "No cuDNN in" in told["stderr"]
    assert str(wheels) in told["stderr"].replace(" ", "")


@needs_cmake
def test_a_build_without_cudnn_is_told(tmp_path: Path, wheels: Path) -> None:
    shutil.rmtree(wheels / "nvidia/cudnn")
    tree = patched(write_cuda_tree(tmp_path / "caffe"))
    toolkit = wheels / "nvidia/cu13"
    code, told = ask_cmake(
        tree, CUDA_VERSION="13.0", CUDA_TOOLKIT_INCLUDE=toolkit / "include",
        CUDA_cublas_LIBRARY=toolkit / "lib/libcublas.so.13", CUDA_curand_LIBRARY=toolkit / "lib/libcurand.so.10",
    )  # fmt: skip
    assert code == 0, told["stderr"]
    assert told["cudnn"].startswith(" ")  # HAVE_CUDNN is not set
    assert "Building without cuDNN" in told["stderr"]
    assert "-DCUDNN_DIR=" in told["stderr"]


def test_architectures_of_make_are_left_to_nvcc(tmp_path: Path) -> None:
    tree = patched(write_cuda_tree(tmp_path))
    text = tree.read("Makefile.config.example")
    assert "compute_20" not in text
    assert "take out what your CUDA does not know" not in text
    assert text.startswith("CUDA_DIR := /usr/local/cuda\n\n# ")
    assert text.endswith("\nCUDA_ARCH := -arch=all-major\n\n# BLAS\nBLAS := atlas\n")


def test_twice_changes_nothing_and_undo_gives_all_back(tmp_path: Path) -> None:
    tree = write_cuda_tree(tmp_path)
    before = {path: tree.read(path) for path in tree.files("**/*")}
    patched(tree)
    assert {state.state for state in status(tree, PATCHES)} == {"done"}
    assert plan(tree, patches=PATCHES).changes == ()
    undo(tree)
    assert {path: tree.read(path) for path in tree.files("**/*")} == before


def test_each_half_stands_alone(tmp_path: Path) -> None:
    tree = write_cuda_tree(tmp_path)
    apply(tree, plan(tree, only=["cuda-libraries"], patches=PATCHES))
    text = tree.read("cmake/Cuda.cmake")
    assert "CudaLibraries.cmake)" in text
    assert "CudaArchitectures" not in text
    assert 'set(Caffe_known_gpu_archs "20' in text


def test_a_tree_that_finds_cuda_otherwise_is_told_with_the_place(tmp_path: Path) -> None:
    other = CUDA_CMAKE.replace("set(HAVE_CUDA TRUE)", "set(USE_CUDA TRUE)")
    tree = write_cuda_tree(tmp_path, Cuda=other)
    with pytest.raises(NativeError, match=r"'set\(HAVE_CUDA TRUE\)' in cmake/Cuda\.cmake"):
        plan(tree, patches=PATCHES)


def test_a_tree_without_cuda_needs_none(tmp_path: Path) -> None:
    tree = write_cuda_tree(tmp_path, Cuda="", Makefile="")
    assert {state.state for state in status(tree, PATCHES)} == {"not needed"}
