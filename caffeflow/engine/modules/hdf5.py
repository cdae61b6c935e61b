"""HDF5Output on PyTorch: adds what it gets to an HDF5 file, as the datasets `data` and `label`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.errors import DataError
from caffeflow.layers.params import as_four, dims

_DATASETS: Final = ("data", "label")


@module("HDF5Output")
class HDF5Output(LayerModule):
    """Writes its bottoms; the first forward begins the file anew."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.path = Path(setup.params)
        self._has_begun = False

    def forward(self, data: Tensor, label: Tensor) -> tuple[Tensor, ...]:
        """Adds the rows to the file, and returns no top."""
        import h5py

        try:
            with h5py.File(self.path, "a" if self._has_begun else "w") as file:
                for name, value in zip(_DATASETS, (data, label), strict=True):
                    shape = as_four(tuple(value.shape))
                    self._add(file, name, value.detach().float().cpu().numpy().reshape(shape))
        except OSError as error:
            raise DataError(
                f"{self.path}: cannot be written: {error}; see file_name in hdf5_output_param"
            ) from error
        self._has_begun = True
        return ()

    def _add(self, file: Any, name: str, rows: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        if not self._has_begun:
            file.create_dataset(name, data=rows, maxshape=(None, *rows.shape[1:]))
            return
        dataset = file[name]
        if dataset.shape[1:] != rows.shape[1:]:
            raise DataError(
                f"{self.path}: its rows are {dims(dataset.shape[1:])}, those of this batch are"
                f" {dims(rows.shape[1:])}; one file holds rows of one shape"
            )
        dataset.resize(dataset.shape[0] + len(rows), axis=0)
        dataset[-len(rows) :] = rows
