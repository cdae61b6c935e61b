"""Which device a command runs on: what `-gpu` says, and in training the solver.

The one rule to know: where Caffe without CUDA aborts, so does this; nothing that asks for a GPU runs on
the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from caffeflow.drop_in.gflags import CommandLine
from caffeflow.drop_in.glog import FatalError, Log
from caffeflow.proto.caffe_pb2 import SolverParameter

if TYPE_CHECKING:
    from caffeflow.engine.cuda_devices import Device

_SOURCE: Final = "common.cpp:66"


def asked_gpus(gpu: str) -> list[int]:
    """Returns the numbers that `-gpu` lists; empty for the CPU.

    Raises:
        FatalError: It is no list of numbers, or there is no such GPU.
    """
    if not gpu:
        return []
    from caffeflow.engine.cuda_devices import device_count

    count = device_count()
    if not count:
        raise FatalError(
            "Cannot use GPU in CPU-only Caffe: check mode. PyTorch finds no GPU here; leave out -gpu, and"
            " write solver_mode: CPU in the solver",
            _SOURCE,
        )
    if gpu == "all":
        return list(range(count))
    numbers = [word.strip() for word in gpu.split(",")]
    wrong = [word for word in numbers if not (word.isascii() and word.isdecimal() and int(word) < count)]
    if wrong:
        raise FatalError(
            f"Check failed: no GPU '{wrong[0]}' in -gpu {gpu}; expected numbers from 0 to {count - 1},"
            " separated by commas, or all",
            _SOURCE,
        )
    return [int(word) for word in numbers]


def device_of(numbers: Sequence[int]) -> Device:
    """Returns the first of the GPUs, or the CPU."""
    from caffeflow.engine.device import choose_device

    return choose_device(gpu=str(numbers[0])) if numbers else choose_device("cpu")


def training_device(line: CommandLine, parameters: SolverParameter, log: Log) -> Device:
    """Returns the device to train on, and logs it.

    Raises:
        FatalError: There is no such GPU, or several are asked for.
    """
    gpu = line.text("gpu")
    # Caffe: a solver chooses the GPU only if it says so (caffe.cpp train).
    if not gpu and parameters.HasField("solver_mode") and parameters.solver_mode == SolverParameter.GPU:
        gpu = str(parameters.device_id)
    if not gpu:
        log.info("caffe.cpp:197", "Use CPU.")
        return device_of(())
    numbers = asked_gpus(gpu)
    log.info("caffe.cpp:204", f"Using GPUs {', '.join(map(str, numbers))}")
    if len(numbers) > 1:
        raise FatalError(
            f"Check failed: -gpu {gpu} asks for {len(numbers)} GPUs, and the embedded engine trains on one;"
            " give one number, with batch_size or iter_size times as large"
        )
    from caffeflow.engine.cuda_devices import device_name

    log.info("caffe.cpp:209", f"GPU {numbers[0]}: {device_name(numbers[0])}")
    return device_of(numbers)


def running_device(line: CommandLine, log: Log, *, sources: tuple[str, str]) -> Device:
    """Returns the device to test or to time on, and logs it.

    Args:
        line: The command line.
        log: The log.
        sources: Where Caffe logs a GPU, and where the CPU.

    Raises:
        FatalError: There is no such GPU.
    """
    numbers = asked_gpus(line.text("gpu"))
    if not numbers:
        log.info(sources[1], "Use CPU.")
        return device_of(())
    from caffeflow.engine.cuda_devices import device_name

    log.info(sources[0], f"Use GPU with device ID {numbers[0]}")
    log.info(sources[0], f"GPU device name: {device_name(numbers[0])}")
    return device_of(numbers)
