"""A Caffe tree: the checkout or unpacked archive that the user names, and what it says of itself.

Everything is read from the tree's own files each time a tree is opened; nothing is run and nothing
is written. Text keeps every byte: what is no UTF-8 comes and goes as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, Literal, TypeAlias

from caffeflow.errors import NativeError

TreeKind: TypeAlias = Literal["bvlc", "debian", "weiliu-ssd", "chuanqi-ssd", "other"]

KIND_NAMES: Final[dict[TreeKind, str]] = {
    "bvlc": "BVLC Caffe",
    "debian": "Debian's source package of BVLC Caffe",
    "weiliu-ssd": "weiliu89's SSD branch",
    "chuanqi-ssd": "chuanqi305's fork of the SSD branch",
    "other": "a fork that caffeflow was not tried on",
}
_SCHEMA: Final = "src/caffe/proto/caffe.proto"
_NEEDED: Final = (_SCHEMA, "src/caffe/layer_factory.cpp", "include/caffe/layer.hpp", "tools/caffe.cpp")
_REGISTERED: Final = re.compile(r"^\s*REGISTER_LAYER_(?:CLASS|CREATOR)\(\s*(\w+)", re.MULTILINE)
_FIELD: Final = re.compile(r"^\s*(?:optional|repeated|required)\s+([\w.]+)\s+(\w+)\s*=\s*(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class Tree:
    """A Caffe tree; open one with `open_tree`, which checks that it is one."""

    root: Path

    def has(self, path: str) -> bool:
        """Tells whether the tree has a file or folder at a path."""
        return (self.root / path).exists()

    def read(self, path: str) -> str:
        """Returns the text of a file; line ends and odd bytes are kept."""
        return decode(self.read_bytes(path))

    def read_bytes(self, path: str) -> bytes:
        """Returns a file as it is."""
        try:
            return (self.root / path).read_bytes()
        except OSError as error:
            raise NativeError(f"'{self.root / path}' cannot be read: {error.strerror}") from error

    def files(self, pattern: str) -> Iterator[str]:
        """Yields the paths of the files that a glob names, in order; links to files are left out."""
        found = (path for path in self.root.glob(pattern) if path.is_file() and not path.is_symlink())
        yield from sorted(path.relative_to(self.root).as_posix() for path in found)

    @cached_property
    def kind(self) -> TreeKind:
        """Which of the trees that are known this is."""
        if self.has("debian/control") and "Source: caffe" in self.read("debian/control"):
            return "debian"
        if self.foreign_params:
            return "other"
        if not self.has_ssd:
            return "bvlc"
        # The field is of one fork only; that ReLU6 is there says less, as patches add it.
        return "chuanqi-ssd" if "tf_pad" in self.message_fields("ConvolutionParameter") else "weiliu-ssd"

    @cached_property
    def layer_types(self) -> frozenset[str]:
        """The layer types that the sources register."""
        return frozenset(
            name for path in self.files("src/caffe/**/*.cpp") if "/test/" not in path
            for name in _REGISTERED.findall(self.read(path))
        )  # fmt: skip

    @cached_property
    def layer_fields(self) -> dict[str, int]:
        """The fields of the tree's LayerParameter with their numbers."""
        return self.message_fields("LayerParameter")

    @cached_property
    def foreign_params(self) -> frozenset[str]:
        """Fields of LayerParameter that neither BVLC nor the SSD forks have: signs of another fork."""
        from caffeflow.proto import caffe_pb2  # only here: opening a tree needs no schema of ours

        return frozenset(self.layer_fields) - set(caffe_pb2.LayerParameter.DESCRIPTOR.fields_by_name)

    def message_fields(self, message: str) -> dict[str, int]:
        """Returns the fields of a message of the tree's caffe.proto; none if it has no such message."""
        return {name: int(number) for _, name, number in _FIELD.findall(_body_of(self._schema, message))}

    @property
    def has_ssd(self) -> bool:
        """Whether the SSD layers are there."""
        return "MultiBoxLoss" in self.layer_types

    @property
    def has_relu6(self) -> bool:
        """Whether a layer of type ReLU6 is there."""
        return "ReLU6" in self.layer_types

    @property
    def build_systems(self) -> tuple[str, ...]:
        """The build systems that the tree comes with: cmake, make."""
        named = {"cmake": "CMakeLists.txt", "make": "Makefile"}
        return tuple(name for name, path in named.items() if self.has(path))

    @cached_property
    def version(self) -> str:
        """The version that the tree gives itself, or 'unknown'."""
        if self.has("CMakeLists.txt"):
            found = re.search(r'CAFFE_TARGET_VERSION\s+"([^"]+)"', self.read("CMakeLists.txt"))
            if found:
                return found[1]
        if self.has("Makefile"):
            parts = re.findall(
                r"^DYNAMIC_VERSION_(?:MAJOR|MINOR|REVISION)\s*:=\s*(\S+)", self.read("Makefile"), re.MULTILINE
            )
            if parts:
                return ".".join(parts)
        return "unknown"

    @cached_property
    def _schema(self) -> str:
        return self.read(_SCHEMA)


def open_tree(root: Path) -> Tree:
    """Returns the Caffe tree at a folder.

    Raises:
        NativeError: There is no such folder, or it holds no Caffe tree; names what is missing.
    """
    if not root.is_dir():
        raise NativeError(f"'{root}' is no folder; expected a Caffe tree: a checkout or an unpacked archive")
    missing = [path for path in _NEEDED if not (root / path).is_file()]
    if missing:
        raise NativeError(
            f"'{root}' is no Caffe tree: it has no {', '.join(missing)}; name the folder that holds src/caffe"
        )
    return Tree(root.resolve())


def decode(data: bytes) -> str:
    """Returns bytes of a file as text that `encode` turns back into the same bytes."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Returns the bytes of a text that came from `decode`."""
    return text.encode("utf-8", "surrogateescape")


def _body_of(schema: str, message: str) -> str:
    """Returns the fields of a message as text, without nested messages and enums, or ''."""
    bare = re.sub(r"//[^\n]*", "", schema)
    start = re.search(rf"^message\s+{message}\s*{{", bare, re.MULTILINE)
    if start is None:
        return ""
    depth, own = 1, []
    for character in bare[start.end() :]:
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            break
        if depth == 1:
            own.append(character)
    return "".join(own)
