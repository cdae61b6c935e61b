"""`caffeflow detect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from caffeflow.cli import console, options

if TYPE_CHECKING:
    from caffeflow.workflows.detect import Detected


@click.command("detect", epilog="Example: caffeflow detect street.jpg photos/ --out pictures/")
@click.argument("paths", metavar="IMAGE|FOLDER...", nargs=-1, required=True, type=options.ANY_PATH)
@click.option(
    "--net", help="A deploy prototxt, a folder with one, or a folder under models/.  [default: the only one]"
)
@click.option("--weights", type=options.FILE, help="A caffemodel; by default the net's newest.")
@click.option(
    "--label-map", type=options.FILE, help="Names of the labels.  [default: labelmap.prototxt beside the net]"
)
@click.option(
    "--threshold",
    type=click.FloatRange(min=0, max=1),
    help="Score that a box must exceed.  [default: the net's confidence_threshold]",
)
@click.option(
    "--batch-size", type=click.IntRange(min=1), default=8, show_default=True, help="Images at once."
)
@click.option("--mean", help="none, values (104,117,123) or a .binaryproto.  [default: as the test net]")
@click.option("--scale", type=float, help="What values are multiplied by after the mean.")
@options.out("Folder for the pictures with boxes drawn into them.")
@options.force
@options.device
@options.precision
@options.json_output
def command(
    paths: tuple[Path, ...], net: str | None, weights: Path | None, label_map: Path | None,
    threshold: float | None, batch_size: int, mean: str | None, scale: float | None, out_dir: Path | None,
    force: bool, device: str, precision: Literal["fp32", "bf16"], as_json: bool,
) -> None:  # fmt: skip
    """Find objects in images: boxes with names and scores, listed, drawn or as JSON.

    Images may be files, and folders, which are searched to the bottom. They are brought to the net as in its
    tests; boxes are pixels of the image: xmin, ymin, xmax, ymax.
    """
    from caffeflow.workflows.detect import DetectSettings, detect
    from caffeflow.workflows.detector import DetectorSettings

    detector = DetectorSettings(
        net=net, weights=weights, label_map=label_map, threshold=threshold, mean=mean, scale=scale,
        device=device, precision=precision,
    )  # fmt: skip
    settings = DetectSettings(
        paths=paths, detector=detector, batch_size=batch_size, out_dir=out_dir, force=force
    )
    seen = []
    with console.progress("detecting", unit="images") as bar:
        for detected in detect(
            settings, note=console.note, on_progress=lambda done, total: bar.update(done, total=total)
        ):
            seen.append(detected)
            if not as_json:
                _print(detected)
    if as_json:
        console.json([detected.as_json() for detected in seen])
    elif out_dir is not None:
        console.note(f"{len(seen)} pictures in {out_dir}")


def _print(detected: Detected) -> None:
    """Prints a line for each box, or one for a picture without any."""
    if not detected.detections:
        console.plain(f"{detected.path}: nothing found")
    for found in detected.detections:
        box = " ".join(f"{value:.1f}" for value in found.box)
        console.plain(f"{detected.path}: {found.name} {found.score:.3f} {box}")
