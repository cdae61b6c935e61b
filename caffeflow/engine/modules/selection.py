"""BatchReindex and Filter on PyTorch; what selects the rows gets no gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from caffeflow.engine.modules.registry import LayerModule, Setup, module
from caffeflow.errors import DataError


def check_numbers(numbers: Tensor, *, below: int, layer: str, what: str) -> None:
    """Raises a DataError for a number outside 0 to `below` - 1; on the CPU only, where looking is free."""
    if numbers.device.type != "cpu":
        return
    wrong = (numbers < 0) | (numbers >= below)
    if wrong.any():
        found = f"the value {int(numbers[wrong][0])} is not among {what}"
        raise DataError(f"layer '{layer}': {found} (0 to {below - 1}); correct the values of its bottom")


@module("BatchReindex")
class BatchReindex(LayerModule):
    """The rows of the first bottom that the second names."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.layer_name = setup.layer.name

    def forward(self, x: Tensor, numbers: Tensor) -> Tensor:
        """Returns a row for each number."""
        rows = numbers.to(torch.int64)
        check_numbers(rows, below=len(x), layer=self.layer_name, what=f"the {len(x)} rows of the batch")
        return x.index_select(0, rows)


@module("Filter")
class Filter(LayerModule):
    """The rows of all bottoms but the last where that one is not 0."""

    def forward(self, *bottoms: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Returns what is kept of each bottom."""
        *filtered, selector = bottoms
        (rows,) = selector.detach().flatten().nonzero(as_tuple=True)
        tops = tuple(bottom.index_select(0, rows) for bottom in filtered)
        return tops[0] if len(tops) == 1 else tops
