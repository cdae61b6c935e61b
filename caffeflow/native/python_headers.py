"""The Python for pycaffe: interpreter, headers, library, numpy and Boost.Python of one and the same.

CMake finds each for itself and happily mixes versions; so they are found here, together, and named.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from caffeflow import system
from caffeflow.errors import NativeError
from caffeflow.native.probes import Places

# Asked of each interpreter, in itself: what it is built with and whether numpy is there.
_QUESTION: Final = """
import importlib.util, json, os, sys, sysconfig
name = sysconfig.get_config_var("LDLIBRARY") or ""
folders = [sysconfig.get_config_var(each) or "" for each in ("LIBDIR", "LIBPL")]
folders.append(os.path.join(folders[0], sysconfig.get_config_var("MULTIARCH") or ""))
files = [os.path.join(folder, name) for folder in folders]
numpy = importlib.util.find_spec("numpy")  # importing it takes a second
folders = numpy.submodule_search_locations if numpy else []
numpy_headers = [os.path.join(each, core, "include") for each in folders for core in ("_core", "core")]
print(json.dumps({
    "executable": sys.executable,
    "version": "%d.%d" % sys.version_info[:2],
    "include": sysconfig.get_path("include"),
    "library": next((each for each in files if os.path.isfile(each)), ""),
    "numpy": next((each for each in numpy_headers if os.path.isdir(os.path.join(each, "numpy"))), ""),
}))
"""


@dataclass(frozen=True, kw_only=True)
class PythonBuild:
    """One Python and what is built against it."""

    executable: Path
    version: str
    include: Path
    library: Path
    numpy_include: Path

    def cmake_options(self) -> list[str]:
        """Returns the -D words that name them to the CMake files of a Caffe tree."""
        return [
            "-Dpython_version=3",
            f"-DPYTHON_EXECUTABLE={self.executable}",
            f"-DPython3_EXECUTABLE={self.executable}",  # of a patched tree, which asks it for the rest
            f"-DPYTHON_INCLUDE_DIR={self.include}",
            f"-DPYTHON_LIBRARY={self.library}",
            f"-DNUMPY_INCLUDE_DIR={self.numpy_include}",
        ]


def find_python_build(places: Places) -> tuple[PythonBuild | None, str]:
    """Returns the first Python that has all that pycaffe needs, else None and what the others lack."""
    candidates = [places.find_program(["python3"]), *places.pythons]
    lacks: list[str] = []
    for executable in dict.fromkeys(each for each in candidates if each and each.is_file()):
        answer = _ask(executable)
        missing = _what_is_missing(answer, places)
        if not missing:
            return (
                PythonBuild(
                    executable=Path(answer["executable"]),  # not a shim that chooses one
                    version=answer["version"],
                    include=Path(answer["include"]),
                    library=Path(answer["library"]),
                    numpy_include=Path(answer["numpy"]),
                ),
                "",
            )
        lacks.append(f"{executable} has no {', no '.join(missing)}")
    return None, "; ".join(lacks) or "there is no python3 on PATH"


def _what_is_missing(answer: dict[str, str], places: Places) -> list[str]:
    if not answer:
        return ["answer to give"]
    boost = f"boost_python{answer['version'].replace('.', '')}"
    there = {
        "Python.h": (Path(answer["include"]) / "Python.h").is_file(),
        "shared libpython": ".so" in Path(answer["library"]).name,
        "numpy": bool(answer["numpy"]),
        f"lib{boost}": places.find_library([boost]) is not None,
    }
    return [name for name, is_there in there.items() if not is_there]


def _ask(executable: Path) -> dict[str, str]:
    try:
        done = system.run([executable, "-c", _QUESTION])
        answer: dict[str, str] = json.loads(done.output) if done.returncode == 0 else {}
    except (NativeError, ValueError):
        return {}
    return answer
