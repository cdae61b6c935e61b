"""Where a net runs: the CPU or one CUDA device."""

from __future__ import annotations

import torch

from caffeflow.errors import UsageError


def choose_device(
    asked: str = "auto", *, gpu: str | None = None, prefers_cpu: bool = False, number: int = 0
) -> torch.device:
    """Returns the device to run on.

    Args:
        asked: `cpu`, `cuda`, or `auto`: the GPU if there is one.
        gpu: A GPU's number, as Caffe's `-gpu` takes it.
        prefers_cpu: `auto` means the CPU, as `solver_mode: CPU` asks.
        number: Which GPU to take when none is named, such as a solver's device_id.

    Raises:
        UsageError: There is no such device, or several were asked for.
    """
    if gpu is not None:
        if asked == "cpu":
            raise UsageError(f"--device cpu and --gpu {gpu} contradict each other; give one")
        return _cuda(_number(gpu))
    if asked == "cuda":
        return _cuda(number)
    if asked == "auto" and not prefers_cpu and torch.cuda.is_available():
        return _cuda(number)
    return torch.device("cpu")


def describe_device(device: torch.device) -> str:
    """Returns a device as people know it."""
    if device.type == "cuda":
        return f"GPU {device.index}: {torch.cuda.get_device_name(device)}"
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads != 1 else ''}"


def _number(gpu: str) -> int:
    if gpu.isdecimal():
        return int(gpu)
    if gpu == "all" or "," in gpu:
        raise UsageError(
            f"--gpu {gpu} asks for several GPUs, which the embedded engine does not use yet; give one number,"
            " or use --engine caffe"
        )
    raise UsageError(f"--gpu '{gpu}' is no GPU; expected a number such as 0")


def _cuda(number: int) -> torch.device:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if number >= count:
        found = f"{count} GPU{'s' if count != 1 else ''}" if count else "no GPU that PyTorch can use"
        raise UsageError(f"GPU {number} was asked for, but this machine has {found}; use --device cpu")
    return torch.device("cuda", number)
