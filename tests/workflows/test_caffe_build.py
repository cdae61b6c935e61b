"""Building and testing a small tree with the real CMake and compiler, on a machine with made-up libraries."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from caffeflow.errors import NativeError, StoppedError
from caffeflow.native.build import BuildSettings
from caffeflow.native.run import find_caffe
from caffeflow.workflows.caffe_build import BuildReport, BuildRequest, build_tree
from caffeflow.workflows.caffe_doctor import examine, to_json
from caffeflow.workflows.caffe_test import run_tests
from tests.support.small_trees import CAFFE, CMAKE, TESTS, make_small_tree
from tests.support.toolchains import make_this_machine, make_wheels, write_file, write_program

_TOOLS = ("cmake", "make", "c++")

pytestmark = pytest.mark.skipif(
    not all(shutil.which(tool) for tool in _TOOLS), reason=f"needs {', '.join(_TOOLS)}"
)


class Screen:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, str]] = []
        self.counts: list[tuple[int, int]] = []
        self.notes: list[str] = []

    def step(self, percent: int, what: str) -> None:
        self.steps.append((percent, what))

    def tested(self, done: int, total: int, running: str) -> None:
        self.counts.append((done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return make_this_machine(tmp_path / "machine", monkeypatch)


def build(tree: Path, screen: Screen | None = None, *, unpatched: bool = False) -> BuildReport:
    settings = BuildSettings(mode="cpu")
    request = BuildRequest(tree=tree, settings=settings, jobs=1, unpatched=unpatched)
    return build_tree(request, screen or Screen())


def test_a_tree_is_built_tested_and_found_again(tmp_path: Path) -> None:
    tree = make_small_tree(tmp_path / "tree")
    screen = Screen()
    report = build(tree, screen)
    assert report.program == tree / "build/tools/caffe"
    assert report.layer_types == 2
    assert find_caffe() == report.program
    assert [what for _, what in screen.steps] == ["tools/caffe.cpp", "linking caffe"]
    assert screen.steps[-1][0] == 100
    assert "$ cmake -S" in report.log.read_text()

    again = Screen()
    build(tree, again)
    assert again.steps == []  # nothing was compiled twice

    tested = run_tests(tree, screen, jobs=1)
    assert tested.is_good
    assert (tested.passed, tested.planned, tested.died) == (3, 3, "")
    assert {each.name: each.passed for each in tested.fixtures} == {"HeronTest": 1, "PelicanTest": 2}
    assert screen.counts == [(1, 3), (2, 3), (3, 3)]
    assert "--gtest_filter=*-*GPU*" in tested.log.read_text()


def test_tests_that_die_are_told_with_where_and_why(tmp_path: Path) -> None:
    tree = make_small_tree(tmp_path / "tree")
    build(tree)
    report = run_tests(tree, Screen(), wanted="Dies*", jobs=1)
    assert not report.is_good
    assert report.died.startswith("in PelicanTest.TestGradient: Check failed: 3 == 1 (3 vs. 1) beak")
    assert report.passed == 1


def test_a_failed_test_is_named(tmp_path: Path) -> None:
    tests = TESTS.replace("src/caffe/proto/caffe.proto", "nowhere")  # its third test looks for that file
    tree = make_small_tree(tmp_path / "tree", tests=tests)
    build(tree)
    report = run_tests(tree, Screen(), jobs=1)
    assert list(report.failed) == ["PelicanTest.TestFile"]
    assert (report.is_good, report.passed, report.died) == (False, 2, "")


def test_tests_need_a_build(tmp_path: Path) -> None:
    tree = make_small_tree(tmp_path / "tree")
    with pytest.raises(NativeError, match=f"caffeflow caffe build {tree}"):
        run_tests(tree, Screen())


def test_what_does_not_compile_is_told_with_what_mends_it_and_goes_on_when_mended(tmp_path: Path) -> None:
    tree = make_small_tree(tmp_path / "tree", caffe="int flag = CV_LOAD_IMAGE_COLOR;\n" + CAFFE)
    with pytest.raises(
        NativeError, match=r"CV_LOAD_IMAGE_COLOR.*--only opencv-read-flags; log: .*build\.log"
    ):
        build(tree, unpatched=True)
    (tree / "tools/caffe.cpp").write_text(CAFFE)
    assert build(tree).program.is_file()


def test_an_unpatched_tree_is_refused_with_what_to_run(tmp_path: Path) -> None:
    tree = make_small_tree(tmp_path / "tree", cmake=CMAKE.replace("3.14", "2.8.7"))
    with pytest.raises(NativeError, match=rf"cmake-minimum.*caffe patch {tree}.*--unpatched"):
        build(tree)
    assert not (tree / "build").exists()


def test_what_cmake_refuses_is_told(tmp_path: Path) -> None:
    tree = make_small_tree(tmp_path / "tree", cmake=CMAKE + "find_package(Atlas REQUIRED)\n")
    with pytest.raises(NativeError, match=r'provided by "Atlas".*apt-get install libopenblas-dev'):
        build(tree)


def test_a_missing_compiler_is_told_before_anything_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = make_small_tree(tmp_path / "tree")
    monkeypatch.setenv("CXX", "nowhere++")
    with pytest.raises(NativeError, match=r"lacks C\+\+ compiler.*apt-get install g\+\+; CXX=nowhere"):
        build(tree)
    assert not (tree / "build").exists()


def test_two_protobufs_are_told_before_anything_is_done(tmp_path: Path, machine: Path) -> None:
    tree = make_small_tree(tmp_path / "tree")
    write_program(machine / "bin/protoc", "libprotoc 29.3")
    with pytest.raises(NativeError, match=r"29\.3.*3\.21\.12"):
        build(tree)


SAYS_CUDA = """message(STATUS "CUDA detected: 13.0")
message(STATUS "kinds: ${CUDA_ARCH_NAME} ${CUDA_ARCH_BIN}; PTX: ${CUDA_ARCH_PTX}")
if(EXISTS "${CUDNN_LIBRARY}")
  message(STATUS "Found cuDNN: ${CUDNN_LIBRARY}")
endif()
"""


@pytest.fixture
def toolkit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_program(tmp_path / "cuda/bin/nvcc", "Cuda compilation tools, release 13.0, V13.0.88")
    monkeypatch.setenv("CUDA_PATH", str(tmp_path / "cuda"))
    return tmp_path / "cuda"


@pytest.mark.parametrize(
    ("arch", "said"), [("auto", "kinds: Auto ; PTX: "), ("75,120,90", "kinds: Manual 75 120 90; PTX: 120")]
)
def test_cmake_is_told_the_gpus_and_where_cudnn_is(
    tmp_path: Path, toolkit: Path, arch: str, said: str
) -> None:
    tree = make_small_tree(tmp_path / "tree", cmake=CMAKE + SAYS_CUDA)
    settings = BuildSettings(mode="cuda", arch=arch)
    wheels = make_wheels(tmp_path / "wheels")
    report = build_tree(BuildRequest(tree=tree, settings=settings, cudnn=wheels), Screen())
    assert report.has_cudnn
    log = report.log.read_text()
    assert said in log
    assert f"Found cuDNN: {wheels}/nvidia/cudnn/lib/libcudnn.so.9" in log


def test_a_cuda_that_cmake_leaves_out_is_an_error(tmp_path: Path, toolkit: Path) -> None:
    tree = make_small_tree(tmp_path / "tree")
    request = BuildRequest(
        tree=tree, settings=BuildSettings(mode="cuda"), cudnn=make_wheels(tmp_path / "wheels")
    )
    with pytest.raises(NativeError, match=r"leaves CUDA out.*caffeflow-build\.log"):
        build_tree(request, Screen())


def test_a_build_without_cudnn_says_so(tmp_path: Path, machine: Path, toolkit: Path) -> None:
    for name in ("cublas", "curand"):
        write_file(machine / f"usr/lib/lib{name}.so")
    tree = make_small_tree(tmp_path / "tree", cmake=CMAKE + SAYS_CUDA.split("if(")[0])
    screen = Screen()
    report = build_tree(BuildRequest(tree=tree, settings=BuildSettings(mode="cuda")), screen)
    assert not report.has_cudnn
    assert "--cudnn" in screen.notes[-1]


def test_a_stopped_build_goes_on(tmp_path: Path) -> None:
    waits = (
        "add_custom_target(waits ALL COMMAND sleep 60 COMMENT waiting)\nadd_dependencies(waits caffe.bin)\n"
    )
    tree = make_small_tree(tmp_path / "tree", cmake=CMAKE + waits)

    class Impatient(Screen):
        def step(self, percent: int, what: str) -> None:
            super().step(percent, what)
            if what == "waiting":
                os.kill(os.getpid(), signal.SIGINT)

    started = time.monotonic()
    with pytest.raises(StoppedError) as stopped:
        build(tree, Impatient())
    assert stopped.value.exit_code == 8
    assert time.monotonic() - started < 40
    (tree / "CMakeLists.txt").write_text(CMAKE)
    screen = Screen()
    assert build(tree, screen).program.is_file()
    assert "tools/caffe.cpp" not in [what for _, what in screen.steps]


def test_the_doctor_says_what_to_do_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = make_small_tree(tmp_path / "tree", cmake=CMAKE.replace("3.14", "2.8.7"))
    found = examine(tree)
    assert found.next_step == f"caffeflow caffe patch {tree}"
    said = to_json(found)
    assert said["tree"]["version"] == "1.0.0"
    assert "cmake-minimum" in [each["id"] for each in said["patches"] if each["state"] == "to do"]
    assert {each["name"]: each["version"] for each in said["tools"]}["OpenCV"] == "4.6.0"
    assert said["install"] == ""
    monkeypatch.setenv("CXX", "nowhere++")
    assert examine(tree).next_step == "sudo apt-get install g++"
