"""OpenCV 4 (and 3 without its C headers): the C names of constants that are gone.

The C++ names are older than Caffe's own minimum, OpenCV 2.4, except those of video, which came with 3.
A file keeps the C names where it defines them itself or includes OpenCV's legacy header with them, as
Debian's package and later forks do.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from caffeflow.native.patches.patch import FileEdit, Patch, rewrite
from caffeflow.native.tree import Tree

_SOURCES: Final = (
    "src/caffe/**/*.cpp", "src/caffe/**/*.cu", "include/caffe/**/*.hpp", "tools/**/*.cpp",
    "examples/**/*.cpp",
)  # fmt: skip
_TRANSFORMS: Final = "src/caffe/util/im_transforms.cpp"


@dataclass(frozen=True, kw_only=True)
class _Names:
    """C names that share a pattern, what they are in C++, and the legacy headers that still have them."""

    pattern: str
    modern: str
    headers: tuple[str, ...]

    def edits(self) -> tuple[FileEdit, ...]:
        return tuple(FileEdit(path=path, needs=self.needs, edit=self.edit) for path in _SOURCES)

    def needs(self, text: str) -> bool:
        return self.edit(text) != text

    def edit(self, text: str) -> str:
        if not re.search(self.pattern, text) or any(header in text for header in self.headers):
            return text
        defined = set(re.findall(r"^\s*#\s*define\s+(\w+)", text, re.MULTILINE))
        name = re.compile(rf"(?<![\w:]){self.pattern}")

        def modern(found: re.Match[str]) -> str:
            if found[0].rstrip(" (") in defined:
                return found[0]
            return found.expand(self.modern)

        lines = text.split("\n")
        return "\n".join(
            line if line.lstrip().startswith(("#", "//")) else name.sub(modern, line) for line in lines
        )


_READ_FLAGS: Final = _Names(
    pattern=r"CV_LOAD_IMAGE_(\w+)", modern=r"cv::IMREAD_\1", headers=("imgcodecs/legacy/constants_c.h",)
)
_VIDEO: Final = (
    _Names(
        pattern=r"CV_CAP_PROP_(\w+)", modern=r"cv::CAP_PROP_\1", headers=("videoio/legacy/constants_c.h",)
    ),
    _Names(
        pattern=r"CV_FOURCC\(", modern="cv::VideoWriter::fourcc(",
        headers=("videoio/legacy/constants_c.h", "videoio/videoio_c.h"),
    ),
)  # fmt: skip
_FILLED: Final = _Names(
    pattern=r"CV_FILLED\b", modern="cv::FILLED", headers=("imgproc/imgproc_c.h", "highgui/highgui_c.h")
)
_COLOURS: Final = (
    _Names(
        pattern=r"CV_((?:BGR|BGRA|RGB|GRAY|HSV|HLS|Lab|Luv|YCrCb|YUV)2\w+)", modern=r"cv::COLOR_\1",
        headers=("imgproc/types_c.h", "imgproc/imgproc_c.h", "highgui/highgui_c.h"),
    ),
    _Names(
        pattern=r"CV_(THRESH_\w+)", modern=r"cv::\1",
        headers=("imgproc/types_c.h", "imgproc/imgproc_c.h", "highgui/highgui_c.h"),
    ),
    _Names(
        pattern=r"CV_(IMWRITE_\w+)", modern=r"cv::\1", headers=("imgcodecs/legacy/constants_c.h",)
    ),
)  # fmt: skip


def _has(*paths: str) -> Callable[[Tree], bool]:
    return lambda tree: any(tree.has(path) for path in paths)


OPENCV_PATCHES: Final[tuple[Patch, ...]] = (
    Patch(
        id="opencv-read-flags",
        group="opencv",
        reason="OpenCV 4 has no CV_LOAD_IMAGE_* any more, so nothing that reads images compiles.",
        edits=_READ_FLAGS.edits(),
    ),
    Patch(
        id="opencv-aliases",
        group="opencv",
        reason="The names that im_transforms.cpp defines for OpenCV 3 are needed from then on.",
        edits=(
            rewrite(_TRANSFORMS, r"^(#\s*if\s+CV_(?:VERSION_MAJOR|MAJOR_VERSION)\s*)==(\s*3)\b", r"\1>=\2"),
        ),
        applies=_has(_TRANSFORMS),
    ),
    Patch(
        id="opencv-colours",
        group="opencv",
        reason="OpenCV 4 has no CV_BGR2HSV and its like any more; SSD's colour distortion needs them.",
        edits=tuple(edit for names in _COLOURS for edit in names.edits()),
        applies=_has(_TRANSFORMS),
    ),
    Patch(
        id="opencv-video",
        group="opencv",
        reason="OpenCV 4 has no CV_CAP_PROP_*, CV_FOURCC and CV_FILLED any more; SSD's video needs them.",
        edits=tuple(edit for names in (*_VIDEO, _FILLED) for edit in names.edits()),
        applies=_has("src/caffe/layers/video_data_layer.cpp", "src/caffe/util/bbox_util.cpp"),
    ),
)
