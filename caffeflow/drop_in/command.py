"""The command itself: flags, then one of four actions, and errors as Caffe's last line and its exit code.

| exit code | when                                                                     |
|-----------|--------------------------------------------------------------------------|
| 0         | done, also after a stop by Ctrl-C; usage, if there is not one action     |
| 1         | flags that gflags refuses; `-help`; an error that leaves a Python layer  |
| 134       | where Caffe aborts, which a shell shows as 134                           |
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from caffeflow import __version__
from caffeflow.drop_in import flags
from caffeflow.drop_in.gflags import CommandLine, FlagsError
from caffeflow.drop_in.glog import FatalError, Log, Warnings
from caffeflow.engine.lines import LogLine
from caffeflow.errors import CaffeflowError, find_missing

if TYPE_CHECKING:
    from caffeflow.engine.python_layers import RunningLayer
    from caffeflow.proto.caffe_pb2 import LayerParameter

_ABORTED: Final = 134
_CAFFE_VERSION: Final = "1.0.0"

Action = Callable[[CommandLine, Log], None]


def run(words: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Runs the command and returns its exit code.

    Args:
        words: The command line without the program's name.
        environment: Where glog's variables are; None: the process's own.
    """
    try:
        line = flags.read_flags(words, os.environ if environment is None else environment)
    except FlagsError as error:
        sys.stderr.writelines(f"ERROR: {message}\n" for message in error.messages)
        return 1
    if line.switch("version"):
        sys.stdout.write(f"{flags.PROGRAM} version {_CAFFE_VERSION} (caffeflow {__version__})\n")
        return 0
    if any(line.switch(name) for name in flags.HELP):
        sys.stdout.write(flags.usage(line, with_all=not line.switch("helpshort")) + "\n")
        return 1  # as gflags
    if len(line.words) != 1:
        sys.stdout.write(flags.usage(line) + "\n")
        return 0
    log = Log(line)
    listening = Warnings(log)
    logging.getLogger("caffeflow").addHandler(listening)
    try:
        return _act(line.words[0], line, log)
    finally:
        logging.getLogger("caffeflow").removeHandler(listening)
        log.close()


def _act(name: str, line: CommandLine, log: Log) -> int:
    from caffeflow.layers.python import python_layers

    try:
        action = _action(name, log)
        for flag in flags.without_effect(line):
            log.warn(f"-{flag} has no effect here")
        with python_layers(_open_python_layer):
            action(line, log)
    except FatalError as error:
        log.fatal(str(error), error.source)
        return _ABORTED
    except CaffeflowError as error:
        text = str(error)
        log.fatal(text if text.startswith("Check failed") else f"Check failed: {text}")
        return _ABORTED
    except ModuleNotFoundError as error:
        missing = find_missing(error)
        if missing is None:
            raise
        log.fatal(f"Check failed: {missing}")
        return _ABORTED
    return 0


def _open_python_layer(message: LayerParameter) -> RunningLayer:
    """Makes a Python layer; what its code raises ends the program with its traceback, as in Caffe."""
    from caffeflow.engine.python_layers import open_layer
    from caffeflow.pycaffe import alias

    alias.install()  # what the layer's module means by `import caffe`
    return open_layer(message)


def _action(name: str, log: Log) -> Action:
    """Returns what does the work; each is loaded for itself, so that mistakes are told without waiting."""
    match name:
        case "train":
            from caffeflow.drop_in.train import train as action
        case "test":
            from caffeflow.drop_in.test import test as action
        case "time":
            from caffeflow.drop_in.time import time as action
        case "device_query":
            from caffeflow.drop_in.device_query import device_query as action
        case _:
            log.write(LogLine("caffe.cpp:78", "Available caffe actions:", level="E"))
            for known in sorted(flags.ACTIONS):
                log.write(LogLine("caffe.cpp:81", f"\t{known}", level="E"))
            raise FatalError(f"Unknown action: {name}", "caffe.cpp:83")
    return action
