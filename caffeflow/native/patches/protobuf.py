"""Protobuf: an argument that later versions refuse, and libraries that come with 22 and later."""

from __future__ import annotations

import re
from typing import Final

from caffeflow.native.patches.patch import FileEdit, Patch, PlaceNotFoundError, rewrite
from caffeflow.native.tree import Tree

_FINDER: Final = "cmake/ProtoBuf.cmake"
_CONFIG_FIRST: Final = """\
# protobuf 22 and later stand on abseil, and only their own CMake files say which of its libraries are
# needed; their versions count 4.22, 5.27, 6.30. Older ones often come without such files.
find_package(Protobuf CONFIG QUIET)
if(TARGET protobuf::libprotobuf AND NOT Protobuf_VERSION VERSION_LESS 4)
  set(PROTOBUF_FOUND TRUE)
  set(PROTOBUF_LIBRARIES protobuf::libprotobuf)
  find_path(PROTOBUF_INCLUDE_DIR google/protobuf/message.h HINTS ${Protobuf_DIR}/../../../include)
  find_program(PROTOBUF_PROTOC_EXECUTABLE protoc HINTS ${Protobuf_DIR}/../../../bin)
else()
  find_package(Protobuf MODULE REQUIRED)
endif()"""


def _finds_without_abseil(text: str) -> bool:
    return not re.search(r"find_package\(\s*Protobuf\s+CONFIG", text, re.IGNORECASE)


def _find_config_first(text: str) -> str:
    call = re.compile(r"^find_package\(\s*Protobuf\s+REQUIRED\s*\)", re.MULTILINE | re.IGNORECASE)
    if not call.search(text):
        raise PlaceNotFoundError("find_package(Protobuf REQUIRED)")
    return call.sub(_CONFIG_FIRST, text, count=1)


def _has_finder(tree: Tree) -> bool:
    return tree.has(_FINDER)


PROTOBUF_PATCHES: Final[tuple[Patch, ...]] = (
    Patch(
        id="protobuf-bytes-limit",
        group="protobuf",
        reason="Today's SetTotalBytesLimit has one argument; the second did nothing since protobuf 3.6.",
        edits=tuple(
            rewrite(path, r"SetTotalBytesLimit\(\s*([^,()]+?)\s*,\s*[^,()]+\)", r"SetTotalBytesLimit(\1)")
            for path in ("src/caffe/**/*.cpp", "tools/**/*.cpp")
        ),
    ),
    Patch(
        id="protobuf-abseil",
        group="protobuf",
        reason="protobuf 22 and later need abseil's libraries, which CMake's own search does not name.",
        edits=(FileEdit(path=_FINDER, needs=_finds_without_abseil, edit=_find_config_first),),
        applies=_has_finder,
    ),
)
