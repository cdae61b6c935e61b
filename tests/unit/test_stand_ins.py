"""What lies where a file should be is known by its first bytes."""

from __future__ import annotations

import pytest

from caffeflow.stand_ins import stand_in

DRIVE = b"<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title>"


@pytest.mark.parametrize(
    ("head", "truth"),
    [
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"\n <HTML lang='en'>", "an HTML page"),
        (b"\xef\xbb\xbf<html>", "an HTML page"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code>", "an HTML page"),
        (DRIVE, "Google Drive's page that asks to confirm (HTML)"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a git-lfs pointer"),
        (b"\x1f\x8b\x08", None),
        (b"\n\x0eVGG: google drive", None),
        (b"", None),
    ],
)
def test_stand_ins_are_named(head: bytes, truth: str | None) -> None:
    assert stand_in(head) == truth
