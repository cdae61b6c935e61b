"""Weights as safetensors: tensors `layer/blob index`, and the header in the file's metadata.

The one rule to know: the library checks that the tensors cover the file exactly; nothing can be executed.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from caffeflow.errors import WeightsError
from caffeflow.files import write_atomically
from caffeflow.proto.binary import Array, LayerArrays
from caffeflow.proto.keyed_arrays import HEADER_KEY, as_float32, from_table, header, keyed


def write_safetensors(path: Path, *, name: str, layers: Sequence[LayerArrays]) -> None:
    """Writes layers; the file is the same for the same layers."""
    from safetensors.numpy import save

    content = save(keyed(path, layers), metadata={HEADER_KEY: header(name, layers)})
    write_atomically(path, content)


def read_safetensors(path: Path) -> tuple[str, list[LayerArrays]]:
    """Returns the net's name and its layers.

    Raises:
        WeightsError: The file is damaged, or holds something else than weights.
    """
    from safetensors import SafetensorError, safe_open

    table: dict[str, Array] = {}
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            for key in file.keys():  # noqa: SIM118 - no mapping
                table[key] = as_float32(path, key, file.get_tensor(key))
    except (SafetensorError, TypeError) as error:
        raise WeightsError(f"{path}: is no readable safetensors file: {error}; get it again") from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot read: {error.strerror or error}") from error
    return from_table(path, table, metadata.get(HEADER_KEY))
