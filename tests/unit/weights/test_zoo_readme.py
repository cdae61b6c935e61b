"""Front matter of Model Zoo pages: what is in use is read, anything else names the line."""

from __future__ import annotations

from pathlib import Path

import pytest

from caffeflow.errors import WeightsError
from caffeflow.weights.zoo_readme import front_matter, read_readme

PAGE = """---
name: Digits
caffemodel: digits.caffemodel
caffemodel_url: http://127.0.0.1/digits.caffemodel?a=b
license: see http://127.0.0.1/license
sha1: 4C8D77DEB20EA792F84EB5E6D0A11CA0A8660A46
caffe_commit: 709dc15af4a06bebda027c1eb2b3f3e3375d5077
gist_id:
---

# sha1: not this one
"""


def write(text: str) -> Path:
    path = Path("readme.md")
    path.write_text(text, encoding="utf-8")
    return path


def test_a_page_becomes_a_model() -> None:
    model = read_readme(write(PAGE))
    assert model.name == "Digits"
    assert model.file == "digits.caffemodel"
    assert model.addresses == ("http://127.0.0.1/digits.caffemodel?a=b",)
    assert model.licence == "see http://127.0.0.1/license"
    assert model.checksums == {"sha1": "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46"}
    assert model.net == ""


def test_quotes_comments_and_windows_line_ends_are_read() -> None:
    page = "\ufeff---\r\n# a remark\r\nname: 'It: is'\r\nsha1: \"\"\r\n\r\n---\r\n"
    assert front_matter(write(page)) == {"name": "It: is", "sha1": ""}


def test_without_a_checksum_or_a_name_the_page_still_counts(tmp_path: Path) -> None:
    page = PAGE.replace("name: Digits\n", "", 1).replace(
        "sha1: 4C8D77DEB20EA792F84EB5E6D0A11CA0A8660A46\n", ""
    )
    model = read_readme(write(page))
    assert model.checksums == {}
    assert model.name == tmp_path.name


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("---\nname", "name", "no front matter"),
        ("gist_id:\n---", "gist_id:", "has no end"),
        ("gist_id:", "<<<<<<< HEAD", r"readme\.md:8: '<<<<<<< HEAD' is no 'key: value'"),
        ("gist_id:", "- a list", "is no 'key: value'"),
        ("gist_id:", "  nested: value", "is no 'key: value'"),
        ("gist_id:", "sha1: 00", r"readme\.md:8: 'sha1' stands there twice"),
        ("caffemodel: digits.caffemodel\n", "", "has no 'caffemodel'"),
        (
            "caffemodel_url: http://127.0.0.1/digits.caffemodel?a=b",
            "caffemodel_url:",
            "has no 'caffemodel_url'",
        ),
        ("caffemodel: digits", "caffemodel: ../digits", "plain name"),
        ("caffemodel: digits.caffemodel", "caffemodel: .bashrc", "plain name"),
        ("http://127.0.0.1/digits", "file:///etc/digits", "caffemodel_url is 'file:"),
        ("http://127.0.0.1/digits", "http://[::1/digits", "caffemodel_url is"),
        ("http://127.0.0.1/digits", "http://127.0.0.1:port/digits", "caffemodel_url is"),
        ("http://127.0.0.1/digits", "http://127.0.0.1/di gits", "caffemodel_url is"),
        ("4C8D", "4C8", "sha1 is .*expected 40"),
    ],
)
def test_what_is_no_front_matter_is_named(old: str, new: str, words: str) -> None:
    assert PAGE.count(old) == 1
    with pytest.raises(WeightsError, match=words):
        read_readme(write(PAGE.replace(old, new)))


def test_a_page_that_cannot_be_read_is_named() -> None:
    with pytest.raises(WeightsError, match=r"none\.md: cannot be read"):
        read_readme(Path("none.md"))
    Path("page.md").write_bytes(b"---\n\xff\xfe")
    with pytest.raises(WeightsError, match="is no text"):
        read_readme(Path("page.md"))
