"""`caffe device_query`: the properties of the GPUs that `-gpu` lists; of none without it, as in Caffe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from caffeflow.drop_in.devices import asked_gpus
from caffeflow.drop_in.gflags import CommandLine
from caffeflow.drop_in.glog import Log

_COLUMN: Final = 31  # where the values begin


def device_query(line: CommandLine, log: Log) -> None:
    """Lists the GPUs.

    Raises:
        FatalError: There is no such GPU.
    """
    gpu = line.text("gpu")
    log.info("caffe.cpp:138", f"Querying GPUs {gpu}")
    for number in asked_gpus(gpu):
        from caffeflow.engine.cuda_devices import device_facts

        for text in fact_lines(device_facts(number)):
            log.info("common.cpp:200", text)


def fact_lines(facts: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yields properties with their values one below the other."""
    for label, value in facts:
        yield f"{label + ':':<{_COLUMN}}{value}"
