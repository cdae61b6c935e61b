"""`caffeflow deploy`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from caffeflow.cli import console, options

if TYPE_CHECKING:
    from caffeflow.workflows.deploy import DeployReport


@click.command("deploy", epilog="Example: caffeflow deploy runs/lenet-001 --out digits-bundle")
@click.argument("subject", metavar="RUN|SOLVER|NET", required=False)
@click.option(
    "--weights", type=options.FILE, help="A caffemodel.  [default: the run's last, the net's newest]"
)
@click.option("--out", "out_dir", type=options.FOLDER, required=True, help="The bundle's folder.")
@click.option(
    "--labels", type=options.FILE, help="Class names, a line each; or a label map.  [default: the dataset's]"
)
@click.option("--keep-bn", is_flag=True, help="Leave BatchNorm and Scale layers of their own.")
@click.option("--data", type=options.ANY_PATH, help="A dataset folder in place of the net's own.")
@click.option("--split", default="val", show_default=True, help="Which split of it to compare on.")
@click.option("--record", metavar="CxHxW", help="Shape of a record, where there is no dataset to look at.")
@click.option("--mean", help="For a net without a data layer: none, values (104,117,123), a .binaryproto.")
@click.option("--scale", type=float, help="For the same: what values are multiplied by after the mean.")
@click.option("--no-opencv", is_flag=True, help="Do not ask OpenCV's importer for a second opinion.")
@options.force
@options.json_output
def command(
    subject: str | None, weights: Path | None, out_dir: Path, labels: Path | None, keep_bn: bool,
    data: Path | None, split: str, record: str | None, mean: str | None, scale: float | None,
    no_opencv: bool, force: bool, as_json: bool,
) -> None:  # fmt: skip
    """Make a folder to deploy: net, weights, labels, how pictures come in, and the proof that it is right.

    A run folder of train, a solver, or a net (a prototxt, or a folder's name under models/). Layers of
    training go, BatchNorm and Scale are folded, and the result is compared with the tested net and with what
    OpenCV makes of the files; if one differs, nothing is written.
    """
    from caffeflow.workflows.deploy import DeployRequest, deploy
    from caffeflow.workflows.deploy_input import InputSettings
    from caffeflow.workflows.open_net import shape_of_text

    entry = InputSettings(
        data=data, split=split, record=shape_of_text(record) if record else None, mean=mean, scale=scale
    )
    request = DeployRequest(
        subject=subject, weights=weights, out=out_dir, labels=labels, entry=entry, keep_bn=keep_bn,
        with_opencv=not no_opencv, force=force, command=("caffeflow", *sys.argv[1:]),
    )  # fmt: skip
    report = deploy(request, console.note)
    if as_json:
        console.json(report.as_json())
    else:
        _print(report)


def _print(report: DeployReport) -> None:
    from caffeflow.report.tables import table

    rows = [
        (check.what, check.blob, f"{check.worst:.2g}" if check.worst is not None else check.reason)
        for check in report.checks
    ]
    console.result(table(("compared with", "blob", "worst difference"), rows))
    for row in report.stayed:
        console.note(f"layer '{row.layer}' ({row.type}) was not folded: {row.reason}")
    folded = len(report.folded) - len(report.stayed)
    console.result(f"{report.out}: {', '.join(report.files)} ({folded} layers folded)")
