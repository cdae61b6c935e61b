"""The root of the command line, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import logging
import os
import tempfile
import traceback
from typing import Final

import click

from caffeflow import __version__
from caffeflow.cli import console
from caffeflow.cli.lazy import LazyGroup
from caffeflow.errors import CaffeflowError, find_missing

_VERBS: Final = (
    "prepare", "render", "finetune", "train", "test", "classify", "detect", "time", "summary", "draw",
    "results", "dataset", "weights", "deploy", "export", "log", "layers", "caffe",
)  # fmt: skip
COMMANDS: Final = {verb: f"caffeflow.cli.commands.{verb}" for verb in _VERBS}


@click.group(
    cls=LazyGroup,
    modules=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: caffeflow prepare folder --help",
)
@click.version_option(__version__, prog_name="caffeflow")
@click.option("-v", "--verbose", count=True, help="Say more on stderr; twice for debugging.")
def cli(verbose: int) -> None:
    """Caffe workflows on today's machines: images -> prepare -> render -> train -> test."""
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s")


def run(args: list[str] | None = None) -> int:
    """Runs the command line and returns the exit code; nothing passes through as a traceback.

    Args:
        args: The words after the program's name; None for the process's own.
    """
    try:
        outcome = cli.main(args=args, prog_name="caffeflow", standalone_mode=False)
    except CaffeflowError as error:
        console.error(str(error))
        return error.exit_code
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        console.error("stopped")
        return 8
    except ModuleNotFoundError as error:
        missing = find_missing(error)
        if missing is None:
            return _report_bug(error)
        console.error(missing)
        return 2
    except BrokenPipeError:
        # The reader of our output (head, less) has gone: not an error, but stdout must not be flushed.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception as error:  # the boundary: whatever comes here is a bug of caffeflow
        return _report_bug(error)
    return outcome if isinstance(outcome, int) else 0


def _report_bug(error: Exception) -> int:
    """Saves the traceback, says where it lies, and returns the exit code for bugs."""
    handle, name = tempfile.mkstemp(prefix="caffeflow-", suffix=".log", text=True)
    with os.fdopen(handle, "w") as out:
        out.write(f"caffeflow {__version__}\n")
        traceback.print_exception(error, file=out)
    console.error(f"a bug of caffeflow: {type(error).__name__}: {error}; details: {name}")
    return 70
