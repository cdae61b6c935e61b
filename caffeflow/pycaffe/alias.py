"""Makes `import caffe` mean `caffeflow.pycaffe`, submodules too: `caffe.io`, `caffe.proto.caffe_pb2`.

The rule to know: both names lead to one and the same module, so that a class is the same class under both.
A Caffe that is installed or on PYTHONPATH is not looked at any more.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Final

ALIAS: Final = "caffe"
REAL: Final = "caffeflow.pycaffe"
# Where pycaffe keeps what scripts import by its place.
_MOVED: Final = {"caffe._caffe": REAL, "caffe.pycaffe": REAL}


def install() -> None:
    """Makes `import caffe` mean this from now on.

    Raises:
        ImportError: Another caffe is loaded already.
    """
    loaded = sys.modules.get(ALIAS)
    if loaded is not None and loaded is not sys.modules.get(REAL):
        place = getattr(loaded, "__file__", None) or "unknown"
        raise ImportError(f"another caffe is loaded already, from {place}; install before `import caffe`")
    if not any(isinstance(finder, _AliasFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AliasFinder())


class _AliasFinder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if fullname != ALIAS and not fullname.startswith(f"{ALIAS}."):
            return None
        real = _MOVED.get(fullname) or REAL + fullname.removeprefix(ALIAS)
        if importlib.util.find_spec(real) is None and real not in sys.modules:
            return None
        return ModuleSpec(fullname, _AliasLoader(real))


class _AliasLoader(Loader):
    """Hands out the real module, and keeps the import machinery from renaming it."""

    def __init__(self, real: str) -> None:
        self._real = real
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        del spec
        module = importlib.import_module(self._real)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._spec
