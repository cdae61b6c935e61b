"""Python layers: the class that users derive from, and what makes and calls their objects.

The one rule to know: an object sees blobs of its own, which are filled before each call and read after it.
So it runs alike in both executors, and whatever it does to them changes nothing else. The exceptions are
its learned blobs, which are those of the net.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import logging
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import ModuleType, TracebackType
from typing import Final

import torch
from torch import Tensor

from caffeflow.engine.blob import Blob, BlobList, OwnStorage
from caffeflow.errors import CaffeflowError, NetError, PythonLayerError, suggestion
from caffeflow.layers.python import python_layers
from caffeflow.layers.spec import Shape
from caffeflow.proto.caffe_pb2 import TRAIN, LayerParameter

_log = logging.getLogger(__name__)


class Layer:
    """What Python layers are derived from; a class defines the four functions that Caffe calls.

    Attributes:
        param_str: What the net's file passes on.
        phase: 0 for TRAIN, 1 for TEST.
        blobs: The learned blobs; `setup` adds them.
        type: `Python`.
    """

    type = "Python"

    def __init__(self, param: LayerParameter) -> None:
        self.param_str = self.param_str_ = param.python_param.param_str
        self.phase = 0 if param.phase == TRAIN else 1
        self.blobs = BlobList()

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Is called once, when the net is made."""

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Is called before each forward; gives the tops their shapes."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Fills the tops' data."""
        raise NotImplementedError(f"{self.__class__.__name__} has no forward")

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Fills the diffs of those bottoms that are to get one, and of the learned blobs."""
        raise NotImplementedError(f"{self.__class__.__name__} has no backward")


class RunningLayer:
    """A user's layer in a net.

    Args:
        user: The object.
        message: Its layer.
        is_told: What its code raises becomes an error of one message; else it passes through.
    """

    def __init__(self, user: Layer, message: LayerParameter, *, is_told: bool = False) -> None:
        self.user = user
        self._is_told: Final = is_told
        self._name: Final = message.name
        self._bottoms: Final = [OwnStorage() for _ in message.bottom]
        self._tops: Final = [self._top(message, place) for place in range(len(message.top))]
        self._bottom: Final = [Blob(storage) for storage in self._bottoms]
        self._top_blobs: Final = [Blob(storage) for storage in self._tops]
        self._is_set_up = False

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        """Sets the layer up if it is not yet, and returns the shapes of its tops."""
        for storage, shape in zip(self._bottoms, bottoms, strict=True):
            storage.resize(shape)
        with self._telling():
            if not self._is_set_up:
                self.user.setup(self._bottom, self._top_blobs)
                self._is_set_up = True
            self.user.reshape(self._bottom, self._top_blobs)
        return [blob.shape for blob in self._top_blobs]

    def blobs(self) -> list[Shape]:
        """Returns the shapes of the learned blobs that its setup added."""
        return [blob.shape for blob in self.user.blobs]

    def forward(self, bottoms: Sequence[Tensor]) -> list[Tensor]:
        """Returns copies of the tops."""
        for storage, value in zip(self._bottoms, bottoms, strict=True):
            storage.hold(value)
        with self._telling():
            self.user.reshape(self._bottom, self._top_blobs)
            self.user.forward(self._bottom, self._top_blobs)
        return [storage.data().clone() for storage in self._tops]

    def backward(
        self,
        bottoms: Sequence[Tensor],
        tops: Sequence[Tensor],
        diffs: Sequence[Tensor],
        propagate_down: Sequence[bool],
    ) -> list[Tensor]:
        """Returns copies of the bottoms' diffs; those of learned blobs are left in them.

        Args:
            bottoms: What forward was given.
            tops: What it made.
            diffs: The tops' diffs.
            propagate_down: Which bottoms are to get a diff.
        """
        for storage, value in zip(self._bottoms, bottoms, strict=True):
            storage.hold(value)
        for storage, value, diff in zip(self._tops, tops, diffs, strict=True):
            storage.hold(value, diff)
        with self._telling():
            self.user.backward(self._top_blobs, list(propagate_down), self._bottom)
        return [storage.diff().clone() for storage in self._bottoms]

    def _top(self, message: LayerParameter, place: int) -> OwnStorage:
        """Returns where a top lies: an in-place layer sees one blob as bottom and top, as in Caffe."""
        is_in_place = place < len(message.bottom) and message.bottom[place] == message.top[place]
        return self._bottoms[place] if is_in_place else OwnStorage()

    def _telling(self) -> AbstractContextManager[None]:
        return _Telling(self._name, is_told=self._is_told)


class _Telling(AbstractContextManager[None]):
    """Names the layer in whatever its code raises.

    In a script that stays the exception that it is, with a note. On the command line it becomes one error
    with the traceback of the layer's own code.
    """

    def __init__(self, layer: str, *, is_told: bool) -> None:
        self._layer: Final = layer
        self._is_told: Final = is_told

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, CaffeflowError):
            return
        if self._is_told and isinstance(error, Exception):
            own = trace.tb_next if trace is not None else None  # the first frame is the caller's, of ours
            shown = "".join(traceback.format_exception(kind, error, own)).rstrip()
            raise PythonLayerError(f"its Python code failed:\n{shown}", layer=self._layer) from error
        error.add_note(f"raised by the Python layer '{self._layer}'")


@contextmanager
def allowed() -> Iterator[None]:
    """Lets Python layers run in the nets that are made meanwhile."""
    with python_layers(open_layer):
        yield


def open_layer(
    message: LayerParameter, *, tell: Callable[[str], None] = _log.info, is_told: bool = False
) -> RunningLayer:
    """Imports the class of a Python layer and makes its object.

    Args:
        message: The layer.
        tell: Is told where the class comes from.
        is_told: What its code raises becomes an error of one message; else it passes through.

    Raises:
        NetError: There is no such module or class, or it is no `caffe.Layer`.
    """
    param = message.python_param
    telling = _Telling(message.name, is_told=is_told)
    module = _import(param.module, message.name, telling)
    kind = _class_of(module, message)
    tell(f"layer '{message.name}' runs {param.layer} of {_place(module)}")
    with telling:
        return RunningLayer(kind(message), message, is_told=is_told)


def _import(name: str, layer: str, telling: AbstractContextManager[None]) -> ModuleType:
    if not all(part.isidentifier() for part in name.split(".")):
        raise NetError(
            f"its module '{name}' is no name that Python imports; write such as 'layers.mine', and put the"
            " folder that holds it into PYTHONPATH",
            layer=layer,
        )
    if name not in sys.modules and importlib.util.find_spec(name.partition(".")[0]) is None:
        raise NetError(
            f"its module '{name}' is not found; put the folder that holds it into PYTHONPATH", layer=layer
        )
    with telling:
        return importlib.import_module(name)


def _class_of(module: ModuleType, message: LayerParameter) -> type[Layer]:
    name = message.python_param.layer
    place = f"'{module.__name__}' ({_place(module)})"
    kind = getattr(module, name, None)
    if kind is None:
        near = suggestion(name, [known for known, _ in inspect.getmembers(module, inspect.isclass)])
        raise NetError(f"its module {place} has no class '{name}'{near}", layer=message.name)
    if not (inspect.isclass(kind) and issubclass(kind, Layer)):
        raise NetError(f"'{name}' of {place} is no class derived from caffe.Layer", layer=message.name)
    return kind


def _place(module: ModuleType) -> str:
    return module.__file__ or "no file"


def zeroed(tensor: Tensor) -> Tensor:
    """Returns a copy of a learned blob's gradient, which is zero afterwards."""
    if tensor.grad is None:
        tensor.grad = torch.zeros_like(tensor)
    kept = tensor.grad.clone()
    tensor.grad.zero_()
    return kept
