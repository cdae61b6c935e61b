"""Python: a layer whose shapes, values and gradients are worked out by a class of the user's own.

Where it surprises:
  * the class is imported, made and set up when shapes are inferred, because only it knows them;
  * nothing of it runs unless `python_layers` says who runs it; else the layer is refused by its name;
  * what Caffe calls share_in_parallel says nothing here: each process has a layer of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from caffeflow.errors import NetError, UnsupportedLayerError
from caffeflow.layers.spec import Blob, LayerSpec, Shape, register
from caffeflow.proto.caffe_pb2 import LayerParameter


class Running(Protocol):
    """A Python layer that was made; `user` is the object of the user's class."""

    user: Any

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        """Sets the layer up if it is not yet, and returns the shapes of its tops."""
        ...

    def blobs(self) -> list[Shape]:
        """Returns the shapes of the learned blobs that its setup added."""
        ...


Host = Callable[[LayerParameter], Running]
"""Makes the layer of a message, which names its phase."""

_HOST: ContextVar[Host | None] = ContextVar("host of Python layers", default=None)


@contextmanager
def python_layers(host: Host) -> Iterator[None]:
    """Lets Python layers run in the nets that are made meanwhile.

    Args:
        host: What makes them.
    """
    before = _HOST.set(host)
    try:
        yield
    finally:
        _HOST.reset(before)


@dataclass(frozen=True, kw_only=True)
class PythonParams:
    """The settings of a Python layer, and the layer itself."""

    module: str
    layer: str
    running: Running

    @classmethod
    def read(cls, layer: LayerParameter) -> PythonParams:
        """Reads `python_param`, and makes the layer if that is allowed."""
        param = layer.python_param
        if not (param.module and param.layer):
            raise NetError(
                "python_param must give module and layer, the class in it; found module"
                f" '{param.module}', layer '{param.layer}'"
            )
        host = _HOST.get()
        if host is None:
            raise UnsupportedLayerError(
                f"is a Python layer: it would run the class '{param.layer}' of the module '{param.module}',"
                " which can do anything; if you trust it, give --allow-python-layers"
            )
        return cls(module=param.module, layer=param.layer, running=host(layer))


def python_shapes(params: PythonParams, bottoms: Sequence[Shape]) -> list[Shape]:
    """Returns what the layer's `reshape` makes of its tops."""
    return params.running.shapes(bottoms)


def python_blobs(params: PythonParams, _bottoms: Sequence[Shape]) -> list[Blob]:
    """Returns the blobs that the layer's `setup` added."""
    return [Blob(name=f"blob{index}", shape=shape) for index, shape in enumerate(params.running.blobs())]


PYTHON = register(
    LayerSpec(
        type="Python",
        bottoms=(0, None),
        tops=(0, None),
        may_be_in_place=True,
        runs_code=True,
        read=PythonParams.read,
        shapes=python_shapes,
        blobs=python_blobs,
        learns=("blob0", "blob1", "…"),
        note="runs on the command line with --allow-python-layers only",
    )
)
