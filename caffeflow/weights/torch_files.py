"""PyTorch's weights as arrays by key: `.pth`, `.pt` and `.safetensors`.

The one rule to know: nothing of a file is ever run. A pickle that asks for more than tensors and plain
containers is refused, with the name of what it asks for. Floating values come as float32, whatever
precision the file has; whole numbers stay what they are.
"""

from __future__ import annotations

import pickle
import re
import struct
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from caffeflow.errors import WeightsError
from caffeflow.proto.matching import describe

# Under which name trainings keep the state_dict beside epoch, optimizer and the like.
_WRAPPERS: Final = ("state_dict", "model_state_dict", "model", "net", "weights")
# What DataParallel, torch.compile and Lightning put before every key.
_PREFIXES: Final = ("module.", "_orig_mod.", "model.")
# What torch's reader trips over when bytes are missing or were never a pickle.
_BROKEN: Final = (
    pickle.UnpicklingError, RuntimeError, EOFError, struct.error, LookupError, ValueError, TypeError,
    AttributeError, AssertionError,
)  # fmt: skip
_IMPOSTORS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"version https://git-lfs", "a git-lfs pointer, not the file itself; fetch it with 'git lfs pull'"),
    (b"<", "an HTML page; the download went wrong, get the file again"),
)
_SAVE_INSTEAD: Final = 'torch.save(model.state_dict(), "weights.pth")'
_NUMPY_TYPES: Final[Mapping[str, str]] = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "i1", "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def read_state_dict(path: Path) -> dict[str, NDArray[Any]]:
    """Returns the tensors of a PyTorch file by their keys, in file order.

    The state_dict may lie inside a training's checkpoint (`{"state_dict": …}`, `{"model": …}`), and its
    keys may have the prefix of DataParallel.

    Raises:
        WeightsError: The file is missing, broken, of another kind, or could only be read by running code.
    """
    head = _head(path)
    for beginning, what in _IMPOSTORS:
        if head.startswith(beginning):
            raise WeightsError(f"{path}: is {what}")
    tensors = dict(_of_safetensors(path) if path.suffix == ".safetensors" else _of_pickle(path))
    if not tensors:
        raise WeightsError(f"{path}: holds no tensor; expected a state_dict, as {_SAVE_INSTEAD} writes it")
    return _without_prefixes(tensors)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(64)
    except OSError as error:
        raise WeightsError(f"{path}: cannot read the weights: {error.strerror}") from error
    if not head:
        raise WeightsError(f"{path}: is empty; expected a PyTorch file")
    return head.lstrip()


def _of_pickle(path: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    import torch

    for key, value in _state_dict_in(path, _load(path)).items():
        if isinstance(value, torch.Tensor):
            yield key, _array(path, key, value)


def _load(path: Path) -> object:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except _BROKEN as error:
        raise WeightsError(f"{path}: {_reason(str(error), path)}") from None


def _reason(message: str, path: Path) -> str:
    """Returns why torch could not load a file, and what to do, in the place of its pages of advice."""
    code = re.search(r"GLOBAL ((?:\w+\.)+\w+)", message)
    if code:
        return (
            f"to be read, '{code[1]}' would have to be run, which a file of weights must not ask for; where"
            f" that file was made, save the values alone: {_SAVE_INSTEAD}"
        )
    if "TorchScript" in message:
        return f"is a TorchScript program; load it with torch.jit.load, then {_SAVE_INSTEAD}"
    size = path.stat().st_size
    return f"is truncated or no PyTorch file ({size:,} bytes); copy or download it again"


def _state_dict_in(path: Path, content: object) -> Mapping[str, object]:
    """Returns the state_dict that a file is, or has in it."""
    import torch

    inside: object = content
    for _ in range(2):  # {"model": {"state_dict": …}} has been seen
        if not isinstance(inside, Mapping):
            break
        if any(isinstance(value, torch.Tensor) for value in inside.values()):
            return {str(key): value for key, value in inside.items()}
        wrapper = next((name for name in _WRAPPERS if isinstance(inside.get(name), Mapping)), None)
        if wrapper is None:
            break
        inside = inside[wrapper]
    if isinstance(inside, Mapping) and any(isinstance(value, torch.Tensor) for value in inside.values()):
        return {str(key): value for key, value in inside.items()}
    keys = ", ".join(f"'{key}'" for key in list(content)[:6]) if isinstance(content, Mapping) else ""
    found = f"a mapping with {keys or 'nothing in it'}" if isinstance(content, Mapping) else type(content)
    raise WeightsError(
        f"{path}: holds no state_dict: expected tensors by name, by themselves or as"
        f" {', '.join(_WRAPPERS[:3])}; found {found}; save it with {_SAVE_INSTEAD}"
    )


def _array(path: Path, key: str, tensor: Any) -> NDArray[Any]:
    import torch

    if tensor.is_quantized or tensor.is_complex() or tensor.layout != torch.strided:
        kind = "quantized" if tensor.is_quantized else f"{tensor.dtype}, {tensor.layout}"
        raise WeightsError(
            f"{path}: '{key}' is {kind}; expected plain floating values: give the weights from before that"
            " conversion"
        )
    values = tensor.detach()
    array: NDArray[Any] = (values.float() if values.is_floating_point() else values).numpy()
    return array


def _of_safetensors(path: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    from safetensors import SafetensorError, deserialize

    try:
        entries = deserialize(path.read_bytes())
    except SafetensorError as error:
        reason = str(error).rpartition(": ")[2]
        raise WeightsError(
            f"{path}: is truncated or no safetensors file ({reason}); copy or download it again"
        ) from None
    # The library gives no order; that of names is at least always the same.
    for key, entry in sorted(entries):
        kind, shape = entry["dtype"], tuple(entry["shape"])
        if kind not in _NUMPY_TYPES:
            raise WeightsError(
                f"{path}: '{key}' ({describe(shape)}) is of the type {kind}; expected floating values of 16"
                " to 64 bits: give the weights from before that conversion"
            )
        yield key, _widened(np.frombuffer(entry["data"], _NUMPY_TYPES[kind]), kind).reshape(shape)


def _widened(values: NDArray[Any], kind: str) -> NDArray[Any]:
    if kind == "BF16":  # the upper half of a float32, a type that numpy lacks
        return (values.astype("<u4") << 16).view("<f4")
    return values.astype(np.float32, copy=sys.byteorder == "big") if kind.startswith("F") else values


def _without_prefixes(tensors: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    for prefix in (*_PREFIXES, *_PREFIXES):  # in any order, one inside the other
        if all(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): array for key, array in tensors.items()}
    return tensors
