"""`caffeflow test`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from caffeflow.cli import console, options
from caffeflow.cli.python_layers import allow_python_layers
from caffeflow.errors import UsageError

if TYPE_CHECKING:
    from caffeflow.evaluate.detection import ApVersion
    from caffeflow.workflows.test import TestSettings


@click.command("test", epilog="Example: caffeflow test lenet --data data/digits")
@click.argument("net", metavar="NET|BUNDLE", required=False)
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
@click.option(
    "--ap",
    type=click.Choice(["11point", "MaxIntegral", "Integral"]),
    help="How boxes' precision is averaged [default: the solver's].",
)
@click.option(
    "--metric",
    type=click.Choice(["voc", "coco"]),
    default="voc",
    show_default=True,
    help="Of boxes; coco: COCO's twelve numbers too.",
)
@click.option(
    "--results",
    "results_dir",
    type=options.FOLDER,
    help="Folder for result files of boxes, VOC's and COCO's.",
)
@click.option(
    "--out",
    "out_dir",
    type=options.FOLDER,
    help="Of a bundle: folder for the confusion matrix and the mistakes.  [default: BUNDLE/tests/DATA-SPLIT]",
)
@options.force
@click.option("--like-caffe", is_flag=True, help="Test whole batches and print Caffe's own lines.")
@click.option(
    "--iterations",
    type=click.IntRange(min=1),
    help="Batches for --like-caffe [default: 50; of boxes the solver's test_iter].",
)
@options.device
@options.precision
@allow_python_layers
@options.json_output
def command(
    net: str | None, weights: Path | None, data: Path | None, split: str, batch_size: int | None,
    mean: str | None, scale: float | None, like_caffe: bool, iterations: int | None, device: str,
    ap: ApVersion | None, metric: Literal["voc", "coco"], results_dir: Path | None, out_dir: Path | None,
    force: bool, precision: Literal["fp32", "bf16"], as_json: bool,
) -> None:  # fmt: skip
    """Test a net on every record of a split, each once.

    NET is a train_val, test or deploy prototxt, a folder with one, or a folder's name under models/; without
    it, the only one there is taken. A net that finds boxes is scored by mean average precision. Of a BUNDLE,
    a folder of deploy, the confusion matrix (CSV and PNG) and the worst mistakes are written too.
    """
    from caffeflow.workflows.bundle import is_classifying_bundle

    if net is not None and is_classifying_bundle(Path(net)):
        if like_caffe or ap or weights or mean or results_dir or scale is not None or metric != "voc":
            raise UsageError(
                f"{net} is a bundle, which says itself what weights, mean and scale are; of the options it"
                " takes --data, --split, --batch-size, --out, --force, --device, --precision and --json"
            )
        _bundle(
            Path(net), data, split=split, batch_size=batch_size, out_dir=out_dir, force=force, device=device,
            precision=precision, as_json=as_json,
        )  # fmt: skip
        return
    if out_dir is not None:
        raise UsageError(
            "--out is for bundles of classifiers; the result of a net is kept in its run's folder"
        )
    if iterations is not None and not like_caffe:
        raise UsageError("--iterations goes with --like-caffe; without it every record is tested once")
    if like_caffe and (metric == "coco" or results_dir is not None):
        raise UsageError("--like-caffe prints what Caffe does; leave out --metric coco and --results")
    from caffeflow.workflows.test import TestSettings
    from caffeflow.workflows.test_data import DataSettings
    from caffeflow.workflows.test_detection import DetectionSettings

    about_data = DataSettings(data=data, split=split, batch_size=batch_size, mean=mean, scale=scale)
    settings = TestSettings(
        net=net,
        weights=weights,
        data=about_data,
        detection=DetectionSettings(ap=ap, metric=metric, results_dir=results_dir, force=force),
        device=device,
        precision=precision,
    )
    if like_caffe:
        _like_caffe(settings, iterations, as_json)
    else:
        _each_once(settings, as_json)


def _bundle(
    bundle: Path, data: Path | None, *, split: str, batch_size: int | None, out_dir: Path | None, force: bool,
    device: str, precision: Literal["fp32", "bf16"], as_json: bool,
) -> None:  # fmt: skip
    from caffeflow.report import test_result
    from caffeflow.workflows.test_bundle import BundleTestSettings, score_bundle

    if data is None:
        raise UsageError(f"{bundle}: is a bundle, which knows no data: say with --data what to test it on")
    settings = BundleTestSettings(
        bundle=bundle, data=data, split=split, out_dir=out_dir, batch_size=batch_size or 32, force=force,
        device=device, precision=precision,
    )  # fmt: skip
    with console.progress("testing", unit="images") as bar:
        result = score_bundle(
            settings, note=console.note, on_progress=lambda done, total: bar.update(done, total=total)
        )
    if as_json:
        console.json(result)
        return
    for table in test_result.tables(result):
        console.result(table)
    console.note(f"written: {', '.join(result['files'])}")


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


def _like_caffe(settings: TestSettings, iterations: int | None, as_json: bool) -> None:
    from caffeflow.workflows.test_like_caffe import score_like_caffe

    result = score_like_caffe(
        settings,
        iterations=iterations,
        note=console.note,
        on_line=lambda line: console.line(line.with_prefix()),
    )
    if as_json:
        console.json(result)
