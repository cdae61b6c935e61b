"""Boost: a library that is headers only.

Boost.System has been headers since 1.69; an empty library was still built until 1.88. CMake refuses the
whole of Boost where a library that it was asked for is not there, so this one is asked for as optional.
"""

from __future__ import annotations

import re
from typing import Final

from caffeflow.native.patches.patch import Patch, rewrite

_DEPENDENCIES: Final = "cmake/Dependencies.cmake"
# One line; where there are optional components already, somebody has thought of it.
_NAME: Final = r"(?: +(?!OPTIONAL_COMPONENTS)\w+)"
_REQUIRED_SYSTEM: Final = (
    rf"^(?P<call>[ \t]*find_package\(Boost[^\n()]*?) COMPONENTS(?P<names>{_NAME}*? +system{_NAME}*)[ \t]*\)"
)


def _make_optional(call: re.Match[str]) -> str:
    others = [name for name in call["names"].split() if name != "system"]
    required = f" COMPONENTS {' '.join(others)}" if others else ""
    return f"{call['call']}{required} OPTIONAL_COMPONENTS system)"


BOOST_PATCHES: Final[tuple[Patch, ...]] = (
    Patch(
        id="cmake-boost-system",
        group="cmake",
        reason="Boost 1.89 has no library boost_system any more, and CMake then refuses all of Boost.",
        edits=(rewrite(_DEPENDENCIES, _REQUIRED_SYSTEM, _make_optional),),
        applies=lambda tree: tree.has(_DEPENDENCIES),
    ),
)
