"""What a picture's bytes tell before they are decoded, of pictures that OpenCV wrote."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from caffeflow import images
from caffeflow.image_bytes import Header, find_header, is_whole, sniff
from tests.support.pictures import photo


def test_headers_tell_the_size_without_decoding() -> None:
    for encoding, kind in (("jpg", "jpeg"), ("png", "png")):
        header = find_header(images.encode(photo(), encoding)[:700])
        assert header == Header(format=kind, height=47, width=61, channels=3, bits=8)
    wide = find_header(cv2.imencode(".png", photo().astype(np.uint16) * 257)[1].tobytes())
    assert wide is not None
    assert wide.bits == 16
    assert find_header(b"BM" + bytes(60)) is None
    assert find_header(b"\xff\xd8\xff\xc0\x00") is None


@pytest.mark.parametrize("kind", ["bmp", "tiff", "webp"])
def test_other_formats_are_recognized(kind: str) -> None:
    assert sniff(images.encode(photo(), kind)) == kind


def test_what_is_no_picture_has_no_name() -> None:
    assert sniff(b"<html>not found</html>") is None
    assert sniff(b"") is None
    assert sniff(b"P6\n2 1 255\n") == "pnm"
    assert sniff(b"P6x") is None


@pytest.mark.parametrize("encoding", ["jpg", "png"])
def test_the_end_mark_decides_whether_it_is_whole(encoding: str) -> None:
    data = images.encode(photo(), encoding)
    assert is_whole(data)
    assert is_whole(data + b"and more")
    assert not is_whole(data[:-1])
    assert is_whole(b"BM")  # of other formats OpenCV says so itself
