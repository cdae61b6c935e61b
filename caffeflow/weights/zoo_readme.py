"""The front matter of a Model Zoo `readme.md`: where its caffemodel is.

The Model Zoo's pages begin with lines `key: value` between two lines `---`. It is called YAML there, and only
this much of it is ever used; anything else between the lines is an error that names the line.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from caffeflow.errors import WeightsError
from caffeflow.weights.zoo import ZooModel

_FENCE: Final = "---"
_SHA1_DIGITS: Final = 40


def read_readme(path: Path) -> ZooModel:
    """Returns the model that a `readme.md` describes.

    Raises:
        WeightsError: It cannot be read, has no front matter, a line of it is not understood, or what it says
            names no file that could be fetched.
    """
    fields = front_matter(path)
    for needed in ("caffemodel", "caffemodel_url"):
        if not fields.get(needed):
            raise WeightsError(
                f"{path}: its front matter has no '{needed}'; expected caffemodel, caffemodel_url and sha1"
            )
    file, sha1 = fields["caffemodel"], fields.get("sha1", "").lower()
    if file != Path(file).name or file.startswith(".") or not file.isprintable():
        raise WeightsError(f"{path}: caffemodel is '{file}'; expected the plain name of a file")
    if sha1 and (len(sha1) != _SHA1_DIGITS or not set(sha1) <= set("0123456789abcdef")):
        raise WeightsError(f"{path}: sha1 is '{sha1}'; expected {_SHA1_DIGITS} hexadecimal digits")
    name = fields.get("name") or path.resolve().parent.name
    return ZooModel(
        name=name,
        title=name,
        file=file,
        addresses=(_address(fields["caffemodel_url"], path),),
        source=str(path),
        licence=fields.get("license", ""),
        checksums={"sha1": sha1} if sha1 else {},
        checksums_source=str(path),
    )


def front_matter(path: Path) -> dict[str, str]:
    """Returns the keys and values between the first two lines `---` of a page.

    Raises:
        WeightsError: The page cannot be read, does not begin with `---`, or a line is no `key: value`.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise WeightsError(f"{path}: is no text; expected the readme.md of a Model Zoo page") from None
    if not lines or lines[0].rstrip() != _FENCE:
        raise WeightsError(
            f"{path}: has no front matter: expected '{_FENCE}' as its first line, then 'key: value'"
        )
    fields: dict[str, str] = {}
    for number, line in enumerate(lines[1:], start=2):
        if line.rstrip() == _FENCE:
            return fields
        if not line.strip() or line.startswith("#"):
            continue
        key, colon, value = line.partition(":")
        is_plain = bool(colon) and key.replace("_", "").isalnum() and (not value or value[0] in " \t")
        if not is_plain:
            raise WeightsError(f"{path}:{number}: '{line.strip()}' is no 'key: value'")
        if key in fields:
            raise WeightsError(f"{path}:{number}: '{key}' stands there twice")
        fields[key] = _unquoted(value.strip())
    raise WeightsError(f"{path}: its front matter has no end: expected a second line '{_FENCE}'")


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if is_quoted else value


def _address(text: str, path: Path) -> str:
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a bracket that does not close, a port that is no number
        is_good = False
    if not is_good or not text.isascii() or not text.isprintable() or " " in text:
        raise WeightsError(
            f"{path}: caffemodel_url is '{text}'; expected an address that begins with http(s)://"
        )
    return text
