"""`caffeflow test`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from caffeflow.cli import console, options
from caffeflow.errors import UsageError

if TYPE_CHECKING:
    from caffeflow.workflows.test import TestSettings


@click.command("test", epilog="Example: caffeflow test lenet --data data/digits")
@click.argument("net", required=False)
@click.option("--weights", type=options.FILE, help="A caffemodel; by default the net's newest.")
@click.option(
    "--data",
    "data",
    type=options.ANY_PATH,
    help="A dataset folder or LMDB, in place of the net's own.",
)
@click.option("--split", default="val", show_default=True, help="Which split of a dataset folder.")
@click.option("--batch-size", type=click.IntRange(min=1), help="In place of the net's own.")
@click.option("--mean", help="For a deploy net: none, values (104,117,123) or a .binaryproto.")
@click.option("--scale", type=float, help="For a deploy net: what values are multiplied by after the mean.")
@click.option("--like-caffe", is_flag=True, help="Test whole batches and print the lines of 'caffe test'.")
@click.option("--iterations", type=click.IntRange(min=1), help="Batches for --like-caffe.  [default: 50]")
@options.device
@options.precision
@options.json_output
def command(
    net: str | None, weights: Path | None, data: Path | None, split: str, batch_size: int | None,
    mean: str | None, scale: float | None, like_caffe: bool, iterations: int | None, device: str,
    precision: Literal["fp32", "bf16"], as_json: bool,
) -> None:  # fmt: skip
    """Test a net on every record of a split, each once.

    NET is a train_val or deploy prototxt, a folder with one, or a folder's name under models/; without it,
    the only one there is taken.
    """
    if iterations is not None and not like_caffe:
        raise UsageError("--iterations goes with --like-caffe; without it every record is tested once")
    from caffeflow.workflows.test import TestSettings
    from caffeflow.workflows.test_data import DataSettings

    about_data = DataSettings(data=data, split=split, batch_size=batch_size, mean=mean, scale=scale)
    settings = TestSettings(net=net, weights=weights, data=about_data, device=device, precision=precision)
    if like_caffe:
        _like_caffe(settings, iterations or 50, as_json)
    else:
        _each_once(settings, as_json)


def _each_once(settings: TestSettings, as_json: bool) -> None:
    from caffeflow.report import test_result
    from caffeflow.workflows.test import score_net

    with console.progress("testing", unit="images") as bar:
        result = score_net(
            settings, note=console.note, on_progress=lambda done, total: bar.update(done, total=total)
        )
    if as_json:
        console.json(result)
        return
    for table in test_result.tables(result):
        console.result(table)


def _like_caffe(settings: TestSettings, iterations: int, as_json: bool) -> None:
    from caffeflow.workflows.test_like_caffe import score_like_caffe

    result = score_like_caffe(
        settings,
        iterations=iterations,
        note=console.note,
        on_line=lambda line: console.line(line.with_prefix()),
    )
    if as_json:
        console.json(result)
