"""A Caffe tree of a few lines that CMake really builds: a caffe that knows two layer types, and tests."""

from __future__ import annotations

from pathlib import Path

from tests.support.toolchains import write_file

CMAKE = """cmake_minimum_required(VERSION 3.14)
project(Caffe CXX)
set(CAFFE_TARGET_VERSION "1.0.0")
add_executable(caffe.bin tools/caffe.cpp)
set_target_properties(caffe.bin PROPERTIES OUTPUT_NAME caffe
  RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tools)
add_executable(test.testbin EXCLUDE_FROM_ALL src/caffe/test/test_pelican.cpp)
set_target_properties(test.testbin PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/test)
"""
CAFFE = """#include <iostream>
int main() {
  std::cerr << "Unknown layer type: CaffeflowProbe (known types: Heron, Pelican)" << std::endl;
  return 1;
}
"""
# Asked for Dies*, it dies in a test; its third test reads a file by its path in the tree.
TESTS = r"""#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
int main(int argc, char** argv) {
  std::string filter = argc > 1 ? argv[1] : "";
  bool is_there = std::ifstream("src/caffe/proto/caffe.proto").good();
  std::cout << "Note: " << filter << "\n[==========] Running 3 tests from 2 test cases.\n"
            << "[ RUN      ] HeronTest/0.TestForward\n[       OK ] HeronTest/0.TestForward (1 ms)\n"
            << "[ RUN      ] PelicanTest.TestGradient\n" << std::flush;
  if (filter.find("Dies") != std::string::npos) {
    std::cerr << "F1120 10:10:52.0 7 pelican.cpp:9] Check failed: 3 == 1 (3 vs. 1) beak" << std::endl;
    abort();
  }
  std::cout << "[       OK ] PelicanTest.TestGradient (20 ms)\n[ RUN      ] PelicanTest.TestFile\n"
            << (is_there ? "[       OK ]" : "[  FAILED  ]") << " PelicanTest.TestFile (0 ms)\n"
            << "[==========] 3 tests from 2 test cases ran.\n";
  return is_there ? 0 : 1;
}
"""


def make_small_tree(root: Path, *, cmake: str = CMAKE, caffe: str = CAFFE, tests: str = TESTS) -> Path:
    """Makes the tree and returns its folder."""
    write_file(root / "CMakeLists.txt", cmake)
    write_file(root / "src/caffe/proto/caffe.proto", "message LayerParameter {\n}\n")
    write_file(root / "src/caffe/layer_factory.cpp")
    write_file(root / "include/caffe/layer.hpp")
    write_file(root / "tools/caffe.cpp", caffe)
    write_file(root / "src/caffe/test/test_pelican.cpp", tests)
    return root
