"""Where this machine keeps programs, headers and libraries: looked up as CMake looks, without CMake.

A library counts as there when its header and its library file both are; the version comes from
pkg-config where that knows the library, else from the header.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from caffeflow import system
from caffeflow.errors import NativeError

_SYSTEM_PREFIXES: Final = (Path("/usr/local"), Path("/usr"))
# Debian keeps what differs by architecture one level deeper.
_INCLUDE_DIRS: Final = ("include", "include/*-linux-gnu*")
_LIBRARY_DIRS: Final = ("lib", "lib64", "lib/*-linux-gnu*")
_TOLD_VERSION: Final = re.compile(r"(?:release |version |libprotoc |\) |Make )(\d+(?:\.\d+)+)")


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where to look.

    Attributes:
        prefixes: Folders with include/ and lib/ in them.
        path: The PATH of programs.
        pythons: Interpreters to try besides the python3 on PATH.
    """

    prefixes: tuple[Path, ...]
    path: str
    pythons: tuple[Path, ...] = ()

    @classmethod
    def of_this_machine(cls) -> Places:
        """Returns the system's places, and before them those of CMAKE_PREFIX_PATH and CONDA_PREFIX."""
        words = os.environ.get("CMAKE_PREFIX_PATH", "").replace(";", os.pathsep).split(os.pathsep)
        asked = [*words, os.environ.get("CONDA_PREFIX", "")]
        own = tuple(Path(word) for word in asked if word)
        return cls(
            prefixes=own + _SYSTEM_PREFIXES,
            path=os.environ.get("PATH", os.defpath),
            pythons=(Path("/usr/bin/python3"), Path(sys.executable)),
        )

    def under(self, *prefixes: Path) -> Places:
        """Returns the same places with some prefixes before all others."""
        return replace(self, prefixes=prefixes + self.prefixes)

    def find_program(self, names: Iterable[str]) -> Path | None:
        """Returns the first program on PATH that has one of the names."""
        found = (shutil.which(name, path=self.path) for name in names)
        return next((Path(program) for program in found if program), None)

    def find_header(self, names: Iterable[str]) -> Path | None:
        """Returns the first header that is there, by its path below an include folder."""
        wanted = list(names)
        headers = (include / name for include in self._folders(_INCLUDE_DIRS) for name in wanted)
        return next((path for path in headers if path.is_file()), None)

    def find_library(self, names: Iterable[str]) -> Path | None:
        """Returns the first library that can be linked; a version behind .so will do if nothing else is."""
        folders = list(self._folders(_LIBRARY_DIRS))
        for pattern in ("lib{}.so", "lib{}.a", "lib{}.so.*"):
            for name in names:
                for folder in folders:
                    found = sorted(folder.glob(pattern.format(name)))
                    if found:
                        return found[0]
        return None

    def find_cmake_config(self, name: str) -> Path | None:
        """Returns the file by which a package tells CMake of itself."""
        patterns = (f"cmake/*/{name}Config.cmake", f"cmake/{name}Config.cmake")
        folders = self._folders((*_LIBRARY_DIRS, "share"))
        return next((path for folder in folders for each in patterns for path in folder.glob(each)), None)

    def _folders(self, inside: Iterable[str]) -> Iterator[Path]:
        patterns = list(inside)
        for prefix in self.prefixes:
            for pattern in patterns:
                yield from (path for path in sorted(prefix.glob(pattern)) if path.is_dir())


def version_by_pkg_config(name: str, places: Places) -> str:
    """Returns the version that pkg-config has for a library, or ''."""
    program = places.find_program(("pkg-config", "pkgconf"))
    if program is None or not name:
        return ""
    done = _ask([program, "--modversion", name])
    return done.strip() if re.fullmatch(r"[\w.+~-]+", done.strip()) else ""


def version_by_header(header: Path, pattern: str) -> str:
    """Returns the numbers that a pattern finds in a header, joined by dots, or ''."""
    try:
        text = header.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    numbers = [number.replace("_", ".") for number in re.findall(pattern, text)]
    if len(numbers) == 1 and numbers[0].isdigit() and int(numbers[0]) >= 1_000_000:  # protobuf's 3021012
        packed = int(numbers[0])
        return f"{packed // 1_000_000}.{packed // 1000 % 1000}.{packed % 1000}"
    return ".".join(numbers[:3])


def version_by_asking(program: Path) -> str:
    """Returns the version that a program tells of itself, or ''."""
    found = _TOLD_VERSION.search(_ask([program, "--version"]))
    return found[1] if found else ""


def _ask(command: list[str | Path]) -> str:
    try:
        done = system.run(command, env={**os.environ, "LC_ALL": "C"})
    except NativeError:  # there, and cannot be started: as good as no answer
        return ""
    return done.output if done.returncode == 0 else ""
