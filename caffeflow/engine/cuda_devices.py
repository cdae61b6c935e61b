"""What this machine's CUDA devices are, as `caffe device_query` lists them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import torch

Device: TypeAlias = torch.device

# What Caffe calls a property, and where PyTorch has it; which ones it has depends on its version.
_PROPERTIES: Final = (
    ("Major revision number", "major"),
    ("Minor revision number", "minor"),
    ("Name", "name"),
    ("Total global memory", "total_memory"),
    ("Total shared memory per block", "shared_memory_per_block"),
    ("Total registers per block", "regs_per_multiprocessor"),
    ("Warp size", "warp_size"),
    ("Maximum threads per block", "max_threads_per_block"),
    ("Clock rate", "clock_rate"),
    ("Number of multiprocessors", "multi_processor_count"),
)


def device_count() -> int:
    """Returns how many CUDA devices PyTorch can use."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0


def device_name(number: int) -> str:
    """Returns what a device is called."""
    return torch.cuda.get_device_name(number)


def device_facts(number: int) -> Iterator[tuple[str, str]]:
    """Yields a device's properties: Caffe's name for each, and its value."""
    yield "Device id", str(number)
    yield from facts_of(torch.cuda.get_device_properties(number))


def facts_of(properties: Any) -> Iterator[tuple[str, str]]:
    """Yields those of PyTorch's properties of a device that Caffe lists."""
    for label, attribute in _PROPERTIES:
        if hasattr(properties, attribute):
            yield label, str(getattr(properties, attribute))
