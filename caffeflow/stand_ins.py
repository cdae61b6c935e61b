"""What lies where a downloaded file should be, when the download did not bring the file itself.

Servers answer "moved", "log in" or "are you sure" with a page and code 200, and git leaves a few lines of
text where git-lfs was not installed. The first bytes tell.
"""

from __future__ import annotations

from typing import Final

_LFS_POINTER: Final = b"version https://git-lfs"
_HTML_STARTS: Final = (b"<!doctype html", b"<html", b"<?xml")
_DRIVE: Final = b"google drive"


def stand_in(head: bytes) -> str | None:
    """Returns what a file is in truth ("an HTML page", "a git-lfs pointer") if it only has a file's name.

    Args:
        head: The first bytes; with some thousands of them, Google Drive's page is told from others.
    """
    text = head[:8192].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_HTML_STARTS):
        return "Google Drive's page that asks to confirm (HTML)" if _DRIVE in text else "an HTML page"
    return "a git-lfs pointer" if text.startswith(_LFS_POINTER) else None
