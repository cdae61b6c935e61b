"""The errors a user can act on, each with the exit code that the command line gives it.

A message has three parts, on one line if they fit: where and what, what was expected and what was
found, what to do next. Whatever is raised from elsewhere is a bug of caffeflow (exit code 70).

| code | meaning                                                              |
|------|----------------------------------------------------------------------|
| 0    | done                                                                 |
| 1    | a check failed (verify, diff, accuracy below a bound)                |
| 2    | usage (Click's own)                                                  |
| 3    | template or variable                                                 |
| 4    | net or solver: text, graph, shapes                                   |
| 5    | data                                                                 |
| 6    | weights or snapshots                                                 |
| 7    | a native Caffe tree, build or run                                    |
| 8    | stopped by the user, can be resumed                                  |
| 70   | a bug of caffeflow                                                   |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import ClassVar, Final

_EXTRAS: Final[Mapping[str, str]] = {
    "torch": "torch", "matplotlib": "plot", "tensorboard": "plot",
    "h5py": "formats", "safetensors": "formats", "onnx": "onnx",
}  # fmt: skip
"""Library that may be missing -> the extra that installs it."""


class CaffeflowError(Exception):
    """Base of all errors that are shown as one line, without a traceback."""

    exit_code: ClassVar[int] = 70


class CheckError(CaffeflowError):
    """A check ran to its end and found something wrong."""

    exit_code = 1


class UsageError(CaffeflowError):
    """The command line does not say what to do, or says two things at once."""

    exit_code = 2


class TemplateError(CaffeflowError):
    """A template, one of its variables, or a value given for one."""

    exit_code = 3


class NetError(CaffeflowError):
    """A net or solver that Caffe would refuse, or that cannot be run here.

    Args:
        what: What is wrong, expected and found, and what to do; without the place.
        layer: The layer it is about, if there is one.
        where: `file:line`, if the raiser knows it; otherwise `caffeflow.proto.text.located`
            adds it on the way up.
    """

    exit_code = 4

    def __init__(self, what: str, *, layer: str | None = None, where: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.layer = layer
        self.where = where

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        layer = f"layer '{self.layer}': " if self.layer else ""
        return f"{place}{layer}{self.what}"


class UnsupportedLayerError(NetError):
    """A layer type that is not known, or known and refused for a reason."""


class PythonLayerError(NetError):
    """The code of a Python layer raised something; the message ends with its traceback."""


class DataError(CaffeflowError):
    """Images, lists, archives, databases or means."""

    exit_code = 5


class WeightsError(CaffeflowError):
    """A caffemodel, a solverstate, or weights that do not fit a net."""

    exit_code = 6


class NativeError(CaffeflowError):
    """The real Caffe: its tree, its build or a run of its tools."""

    exit_code = 7


class StoppedError(CaffeflowError):
    """The user stopped a long job; what was done is kept and the job can be resumed."""

    exit_code = 8


def find_missing(error: ModuleNotFoundError) -> str | None:
    """Returns the sentence on a library that an extra installs; None where another module is missing."""
    library = (error.name or "").partition(".")[0]
    if library not in _EXTRAS:
        return None
    return f"this needs {library}, which is not installed: pip install 'caffeflow[{_EXTRAS[library]}]'"


def suggestion(name: str, known: Iterable[str]) -> str:
    """Returns `; did you mean 'x'?` for the nearest known name, or an empty string."""
    near = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
