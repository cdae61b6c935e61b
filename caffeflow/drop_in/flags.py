"""The flags of the `caffe` command with Caffe's defaults, those of glog and gflags, and the usage text.

A flag of glog takes its default from the environment, as `GLOG_minloglevel=2` does. What has no effect
here is taken all the same, because scripts pass it, and the log says so.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

from caffeflow.drop_in.gflags import CommandLine, Flag, FlagsError, Value, read_command_line

PROGRAM: Final = "caffe"
ACTIONS: Final[Mapping[str, str]] = {
    "train": "train a model, or train it on",
    "test": "score a model",
    "device_query": "list the properties of GPUs",
    "time": "measure how long a model takes, layer by layer",
}

_CAFFE: Final = "caffe"
_GLOG: Final = "glog"
_GFLAGS: Final = "gflags"
_WIDTH: Final = 80
HELP: Final = ("help", "helpfull", "helpshort")

_TABLE: Final = (
    Flag("gpu", "", "GPU to run on, by its number, or all; test and time take the first.", _CAFFE),
    Flag("iterations", 50, "How many batches test takes, or how often time runs the net.", _CAFFE),
    Flag("level", 0, "Level of the net's state.", _CAFFE),
    Flag("model", "", "Net to test or to time, as prototxt.", _CAFFE),
    Flag("phase", "", "Phase of the net that is timed: TRAIN, which is the default, or TEST.", _CAFFE),
    Flag("sighup_effect", "snapshot", "What SIGHUP does to a training: snapshot, stop or none.", _CAFFE),
    Flag("sigint_effect", "stop", "What Ctrl-C does to a training: snapshot, stop or none.", _CAFFE),
    Flag("snapshot", "", "Solverstate to train on from.", _CAFFE),
    Flag("solver", "", "Solver to train with, as prototxt.", _CAFFE),
    Flag("stage", "", "Stages of the net's state, separated by commas.", _CAFFE),
    Flag("weights", "", "Weights to test, or to begin training with (several by commas).", _CAFFE),
    Flag("alsologtostderr", True, "Log to stderr beside the files of log_dir.", _GLOG),
    Flag("alsologtoemail", "", "Has no effect here.", _GLOG, works=False),
    Flag("colorlogtostderr", False, "Has no effect here.", _GLOG, works=False),
    Flag("drop_log_memory", True, "Has no effect here.", _GLOG, works=False),
    Flag("log_backtrace_at", "", "Has no effect here.", _GLOG, works=False),
    Flag("log_dir", "", "Folder for log files; without it there are none.", _GLOG),
    Flag("log_link", "", "Has no effect here.", _GLOG, works=False),
    Flag("log_prefix", True, "Begin lines with level, date, time, process and place.", _GLOG),
    Flag("logbuflevel", 0, "Has no effect here: every line is written at once.", _GLOG, works=False),
    Flag("logbufsecs", 30, "Has no effect here: every line is written at once.", _GLOG, works=False),
    Flag("logemaillevel", 999, "Has no effect here.", _GLOG, works=False),
    Flag("logfile_mode", 436, "Has no effect here.", _GLOG, works=False),
    Flag("logmailer", "/bin/mail", "Has no effect here.", _GLOG, works=False),
    Flag("logtostderr", False, "Log to stderr alone, with no files.", _GLOG),
    Flag("max_log_size", 1800, "Has no effect here.", _GLOG, works=False),
    Flag("minloglevel", 0, "Leave out what is below: 1 warnings, 2 errors, 3 fatal ones.", _GLOG),
    Flag("stderrthreshold", 2, "From this level on, lines go to stderr in any case.", _GLOG),
    Flag("stop_logging_if_full_disk", False, "Has no effect here.", _GLOG, works=False),
    Flag("symbolize_stacktrace", True, "Has no effect here.", _GLOG, works=False),
    Flag("v", 0, "Has no effect here.", _GLOG, works=False),
    Flag("vmodule", "", "Has no effect here.", _GLOG, works=False),
    Flag("flagfile", "", "Read flags from these files, one a line.", _GFLAGS),
    Flag("help", False, "Show all flags.", _GFLAGS),
    Flag("helpfull", False, "Show all flags.", _GFLAGS),
    Flag("helpshort", False, "Show the flags of the command.", _GFLAGS),
    Flag("version", False, "Show the version.", _GFLAGS),
)  # fmt: skip
FLAGS: Final[Mapping[str, Flag]] = {flag.name: flag for flag in _TABLE}


def read_flags(words: Iterable[str], environment: Mapping[str, str]) -> CommandLine:
    """Returns what a command line says, with glog's flags from the environment where it is silent.

    Raises:
        FlagsError: As gflags refuses it.
    """
    flags = {name: _with_environment(flag, environment) for name, flag in FLAGS.items()}
    return read_command_line(list(words), flags)


def without_effect(line: CommandLine) -> list[str]:
    """Returns the flags that were given and have no effect here."""
    return sorted(name for name in line.given if not FLAGS[name].works)


def usage(line: CommandLine, *, with_all: bool = False) -> str:
    """Returns the usage text: the commands, and the flags with their values.

    Args:
        line: What the command line says.
        with_all: Show glog's and gflags' flags, too.
    """
    parts = [
        f"{PROGRAM}: command line brew (caffeflow's embedded engine)",
        f"usage: {PROGRAM} <command> <args>",
    ]
    parts += ["", "commands:", *(f"  {name:<16}{what}" for name, what in ACTIONS.items())]
    for home in (_GFLAGS, _GLOG, _CAFFE) if with_all else (_CAFFE,):
        parts += ["", f"  Flags of {home}:"]
        for flag in sorted(FLAGS.values(), key=lambda each: each.name):
            if flag.home == home:
                parts += _described(flag, line.values[flag.name])
    return "\n".join(parts)


def _described(flag: Flag, value: Value) -> Iterator[str]:
    text = f"-{flag.name} ({flag.help}) type: {flag.kind} default: {_shown(flag.default)}"
    if value != flag.default:
        text += f" currently: {_shown(value)}"
    yield from textwrap.wrap(
        text, _WIDTH, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False
    )


def _shown(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else f'"{value}"'


def _with_environment(flag: Flag, environment: Mapping[str, str]) -> Flag:
    """Returns a flag with the default that a variable of glog gives it."""
    text = environment.get(f"GLOG_{flag.name}")
    # Caffe: switches alsologtostderr on after the environment was read (caffe.cpp main).
    if flag.home != _GLOG or flag.name == "alsologtostderr" or text is None:
        return flag
    # glog: a variable that is no value of its flag counts as not set.
    with suppress(FlagsError):
        return replace(flag, default=read_command_line([f"-{flag.name}={text}"], FLAGS).values[flag.name])
    return flag
