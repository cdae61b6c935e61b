"""CMake: its version, and one Python for interpreter, headers, numpy and Boost.Python.

Caffe searches for these four apart from each other. On a machine with two Pythons it takes the
interpreter of one and the library of the other, and pycaffe then dies on import.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from caffeflow.native.patches.patch import FileEdit, Patch, PlaceNotFoundError, rewrite
from caffeflow.native.tree import Tree

_TOP: Final = "CMakeLists.txt"
_DEPENDENCIES: Final = "cmake/Dependencies.cmake"
_MINIMUM: Final = "3.14"  # the first with numpy in FindPython3; CMake 4 takes none below 3.5
_BELOW_MINIMUM: Final = r"(?:2\.[\d.]+|3\.(?:\d|1[0-3])(?:\.\d+)*)"

# The branch of Python 3, from its first search to the `else()` of Python 2.
_PYTHON_3: Final = re.compile(
    r"^(?P<indent>[ \t]*)find_package\(PythonInterp 3[\d.]*\)\n.*?^(?=[ \t]*else\(\)\n.*?PythonInterp 2)",
    re.MULTILINE | re.DOTALL,
)
_ONE_PYTHON: Final = """\
# One interpreter says where its headers, its library and its numpy are; -DPython3_EXECUTABLE names another.
if(PYTHON_EXECUTABLE AND NOT Python3_EXECUTABLE)
  set(Python3_EXECUTABLE ${PYTHON_EXECUTABLE})
endif()
find_package(Python3 COMPONENTS Interpreter Development NumPy)
set(PYTHON_EXECUTABLE ${Python3_EXECUTABLE})
set(PYTHON_VERSION_STRING ${Python3_VERSION})
set(PYTHONINTERP_FOUND ${Python3_Interpreter_FOUND})
set(PYTHONLIBS_FOUND ${Python3_Development_FOUND})
set(PYTHONLIBS_VERSION_STRING ${Python3_VERSION})
set(PYTHON_INCLUDE_DIRS ${Python3_INCLUDE_DIRS})
set(PYTHON_LIBRARIES ${Python3_LIBRARIES})
set(NUMPY_FOUND ${Python3_NumPy_FOUND})
set(NUMPY_INCLUDE_DIR ${Python3_NumPy_INCLUDE_DIRS})
set(NUMPY_VERSION ${Python3_NumPy_VERSION})
# A Boost.Python of another version would link, and crash on import.
set(boost_py_version ${Python3_VERSION_MAJOR}${Python3_VERSION_MINOR})
find_package(Boost 1.46 COMPONENTS python${boost_py_version})
set(Boost_PYTHON_FOUND ${Boost_PYTHON${boost_py_version}_FOUND})
if(NOT Boost_PYTHON_FOUND)
  message(WARNING "There is no Boost.Python for Python ${Python3_VERSION}: pycaffe is left out")
endif()
"""


def _searches_apart(text: str) -> bool:
    return re.search(r"find_package\(PythonInterp 3", text) is not None


def _search_once(text: str) -> str:
    found = _PYTHON_3.search(text)
    if found is None:
        raise PlaceNotFoundError("find_package(PythonInterp 3…) in a branch that an else() for Python 2 ends")
    block = "".join(f"{found['indent']}{line}" for line in _ONE_PYTHON.splitlines(keepends=True))
    return text[: found.start()] + block + text[found.end() :]


def _tests_unguarded(text: str) -> bool:
    return re.search(r"add_custom_target\(pytest\b", text) is not None and (
        "COMMAND python${python_version}" in text or not re.search(r"if\(\s*TARGET pycaffe\s*\)", text)
    )


def _guard_tests(text: str) -> str:
    guarded, places = re.subn(
        r"^([ \t]*)if\(BUILD_python\)(\s*add_custom_target\(pytest\b)",
        r"\1if(TARGET pycaffe)\2", text, flags=re.MULTILINE,
    )  # fmt: skip
    if not places and "TARGET pycaffe" not in text:
        raise PlaceNotFoundError("if(BUILD_python) right before the pytest target")
    return guarded.replace("COMMAND python${python_version}", "COMMAND ${PYTHON_EXECUTABLE}")


def _has(path: str) -> Callable[[Tree], bool]:
    return lambda tree: tree.has(path)


CMAKE_PATCHES: Final[tuple[Patch, ...]] = (
    Patch(
        id="cmake-minimum",
        group="cmake",
        reason="CMake 4 refuses a project that asks for a version before 3.5.",
        edits=(
            rewrite(
                _TOP,
                rf"^(cmake_minimum_required\(\s*VERSION\s+){_BELOW_MINIMUM}(?=[\s)])",
                rf"\g<1>{_MINIMUM}",
            ),
        ),
        applies=_has(_TOP),
    ),
    Patch(
        id="cmake-python-3",
        group="cmake",
        reason="The build asks for Python 2 unless told otherwise, and no system has it any more.",
        edits=(rewrite(_TOP, r'^(\s*set\(python_version\s+)"2[\d.]*"', r'\1"3"'),),
        applies=_has(_TOP),
    ),
    Patch(
        id="cmake-one-python",
        group="cmake",
        reason="Interpreter, headers, numpy and Boost.Python are searched apart, and may be of two Pythons.",
        edits=(FileEdit(path=_DEPENDENCIES, needs=_searches_apart, edit=_search_once),),
        applies=_has(_DEPENDENCIES),
    ),
    Patch(
        id="cmake-pytest",
        group="cmake",
        reason="The pytest target depends on pycaffe also where that is left out, and runs any Python.",
        edits=(FileEdit(path=_TOP, needs=_tests_unguarded, edit=_guard_tests),),
        applies=_has(_TOP),
    ),
)
