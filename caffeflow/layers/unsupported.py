"""Layer types of BVLC's Caffe and of the SSD fork that are not run here, each with the reason."""

from __future__ import annotations

from typing import Final

_VIDEO: Final = (
    "reads a camera or a video file, which has no feed here; take the frames out as images and detect on"
    " those; a caffe built from the SSD fork runs it"
)

UNSUPPORTED: Final[dict[str, str]] = {
    "VideoData": _VIDEO,
}
"""Type -> why not, as a phrase that follows the type's name."""
