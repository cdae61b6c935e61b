"""A solverstate as HDF5 in Caffe's own layout: `iter`, `learned_net`, `current_step`, `history/<number>`.

Where it surprises:
  * the two counters are arrays of one int, and the name of the weights is text of fixed length: Caffe
    reads it into a buffer of just that length, so it must end in a NUL that counts;
  * the SSD fork wants two numbers more, those of its policy `plateau`, whatever the policy; BVLC's Caffe
    passes over them. Where no loss was watched they are the largest float and 0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from caffeflow.errors import WeightsError
from caffeflow.files import replacing
from caffeflow.proto.binary import Array, SolverStateArrays
from caffeflow.proto.hdf5_reading import datasets, find_own, lies_here, read_text, reading, values

_HISTORY: Final = "history"
_NO_LOSS: Final = float(np.finfo(np.float32).max)


def write_hdf5_state(path: str | Path, state: SolverStateArrays) -> None:
    """Writes a .solverstate.h5."""
    import h5py

    path = Path(path)
    with replacing(path) as temporary, h5py.File(temporary, "w", libver=("earliest", "v110")) as file:
        file["iter"] = np.array([state.iteration], np.int32)
        name = state.learned_net.encode()
        file["learned_net"] = np.array(name, f"S{len(name) + 1}")
        file["current_step"] = np.array([state.current_step], np.int32)
        loss = _NO_LOSS if state.minimum_loss is None else state.minimum_loss
        file["iter_last_event"] = np.array([state.last_event], np.int32)
        file["minimum_loss"] = np.array([loss], np.float32)
        history = file.create_group(_HISTORY)
        for number, array in enumerate(state.history):
            history[str(number)] = array


def read_hdf5_state(path: str | Path) -> SolverStateArrays:
    """Returns the contents of a .solverstate.h5.

    Raises:
        WeightsError: The file is damaged, something is missing in it, or it holds something else.
    """
    path = Path(path)
    with reading(path) as file:
        has_loss = "minimum_loss" in file  # a file of the SSD fork's, or of ours
        loss = float(_one(path, file, "minimum_loss", kinds="f")) if has_loss else _NO_LOSS
        weights = find_own(path, file, "learned_net")
        return SolverStateArrays(
            iteration=_whole_number(path, file, "iter"),
            learned_net="" if weights is None else read_text(path, "learned_net", weights),
            current_step=_whole_number(path, file, "current_step"),
            history=_history(path, file),
            minimum_loss=None if loss == _NO_LOSS else loss,
            last_event=_whole_number(path, file, "iter_last_event") if has_loss else 0,
        )


def _history(path: Path, file: Any) -> tuple[Array, ...]:
    import h5py

    group = find_own(path, file, _HISTORY)
    if not isinstance(group, h5py.Group):
        raise WeightsError(f"{path}: has no group '{_HISTORY}'; expected Caffe's HDF5 solverstate")
    found = {key: values(path, f"{_HISTORY}/{key}", dataset) for key, dataset in datasets(path, group)}
    for number in range(len(found)):
        if str(number) not in found:
            raise WeightsError(
                f"{path}: '{_HISTORY}/{number}' is missing, while '{_HISTORY}' holds {len(found)} blobs;"
                " expected them numbered from 0"
            )
    return tuple(found[str(number)] for number in range(len(found)))


def _whole_number(path: Path, file: Any, name: str) -> int:
    return int(_one(path, file, name, kinds="iu"))


def _one(path: Path, file: Any, name: str, *, kinds: str) -> Any:
    import h5py

    dataset = find_own(path, file, name)
    if not isinstance(dataset, h5py.Dataset):
        raise WeightsError(f"{path}: holds no '{name}'; expected Caffe's HDF5 solverstate")
    if dataset.size != 1 or dataset.dtype.kind not in kinds or not lies_here(dataset):
        raise WeightsError(
            f"{path}: '{name}' is {dataset.size} values of {dataset.dtype}; expected one"
            f" {'number' if kinds == 'f' else 'whole number'}"
        )
    return dataset[()].reshape(())
