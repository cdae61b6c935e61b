"""`caffeflow log parse` and `caffeflow log plot`."""

from __future__ import annotations

from pathlib import Path

import click

from caffeflow.cli import console, options

_LOGS = click.argument("logs", metavar="LOG...", nargs=-1, required=True, type=options.FILE)


@click.group(epilog="Example: caffeflow log parse runs/lenet-1/caffe.log")
def command() -> None:
    """Read training logs of caffeflow and of any Caffe."""


@command.command(epilog="Example: caffeflow log parse runs/lenet-1/caffe.log --json")
@_LOGS
@options.out("Folder for the CSV files; beside each log if not given.")
@options.json_output
@options.force
def parse(logs: tuple[Path, ...], out_dir: Path | None, as_json: bool, force: bool) -> None:
    """Turn logs into tables: <log>.train and <log>.test, as parse_log.py names them.

    Rows with nan are kept. A run and the runs that resumed it are one training; earlier trainings in the
    same file go into <log>.run1.train and so on, further test nets into <log>.test1. With --json the
    rows are printed and no file is written, unless --out is given too.
    """
    from caffeflow.report.log_files import to_json
    from caffeflow.workflows.log import read_trainings, write_tables

    if not as_json or out_dir is not None:
        for path in write_tables(logs, out_dir=out_dir, force=force):
            (console.note if as_json else console.plain)(str(path))
    if as_json:
        console.json([{"log": str(log), "trainings": to_json(read_trainings(log))} for log in logs])


@command.command(epilog="Example: caffeflow log plot runs/lenet-1/caffe.log --out curves.png")
@_LOGS
@options.out_file("The picture, .png or .svg.", required=True)
@click.option("--join", "join_logs", is_flag=True, help="The logs are parts of one training, in this order.")
@click.option("--title", default="", help="What stands above the picture.")
@options.force
def plot(logs: tuple[Path, ...], out_path: Path, join_logs: bool, title: str, force: bool) -> None:
    """Draw loss, accuracy and learning rate of logs, or of the metrics.csv of run folders."""
    from caffeflow.workflows.log import plot_logs

    plot_logs(logs, out_path, join_logs=join_logs, force=force, title=title)
    console.plain(str(out_path))
