"""`caffeflow prepare`: from raw images to a dataset folder."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from caffeflow.cli import console, options
from caffeflow.errors import UsageError

if TYPE_CHECKING:
    from caffeflow.workflows.prepare import Source

F = TypeVar("F", bound=Callable[..., Any])


def _size(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[int, int] | None:
    """Returns (height, width) of `HxW` or of one number for both; None for `none`."""
    if text is None or text == "none":
        return None
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        message = f"'{text}': expected height x width such as 256x256, one number for both, or none"
        raise click.BadParameter(message, ctx, param)
    return int(sides[0]), int(sides[-1])


def _names(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[str, ...]:
    """Returns the names of a list with commas; none if it is not given."""
    if text is None:
        return ()
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise click.BadParameter(f"'{text}': expected names with commas between them", ctx, param)
    return names


_BUILD_OPTIONS = (
    click.option("--out", "out_dir", type=options.FOLDER, help="Dataset folder [default: data/NAME]."),
    click.option("--name", help="Name of the dataset, as its folder below data/ [default: the source's]."),
    click.option(
        "--backend",
        type=click.Choice(["lmdb", "imagedata"]),
        default="lmdb",
        show_default=True,
        help="An LMDB for Data layers, or image files and lists for ImageData layers.",
    ),
    click.option(
        "--encode",
        type=click.Choice(["auto", "raw", "jpg", "png"]),
        default="auto",
        show_default=True,
        help="Form of each record; auto: bare pixels up to 64x64, else JPEG at quality 95.",
    ),
    click.option("--resize", callback=_size, metavar="HxW|N|none", help="Squash every image to this size."),
    click.option(
        "--short-side", type=int, metavar="N", help="Scale the shorter side to N instead, aspect kept."
    ),
    click.option("--gray", is_flag=True, help="One channel."),
    click.option("--shuffle/--no-shuffle", default=True, show_default=True, help="Shuffle the train split."),
    options.seed,
    click.option("--limit", type=int, metavar="N", help="N images of each split, spread evenly over it."),
    click.option("--workers", type=int, metavar="N", help="Threads that decode [default: one a core]."),
    click.option("--strict", is_flag=True, help="An image that cannot be used is an error, not a reject."),
    click.option("--resume", is_flag=True, help="Go on with a dataset that was stopped."),
    options.force,
    options.dry_run,
    options.json_output,
)


def build_options(command: F) -> F:
    """Adds what all sources have in common; it is passed on to `_run`."""
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(_BUILD_OPTIONS), command)


@click.group("prepare", epilog="Example: caffeflow prepare folder --help")
def command() -> None:
    """Prepare a dataset: an LMDB or image lists, with mean, labels and counts."""


@command.command(
    "folder",
    short_help="A folder of class folders.",
    epilog="Example: caffeflow prepare folder photos --val-fraction 0.1 --resize 64x64",
)
@click.argument("root", type=options.FOLDER)
@click.option("--val-fraction", type=float, metavar="F", help="Hold this share of each class back as val.")
@build_options
def folder_command(root: Path, val_fraction: float | None, **build: Any) -> None:
    """Prepare a folder that holds a folder for each class, or folders train and val that do.

    Sorted folder names are the labels, from 0.
    """
    from caffeflow.data.sources.folder import FolderSettings

    _run(FolderSettings(root=root, val_fraction=val_fraction, seed=build["seed"]), **build)


@command.command(
    "list",
    short_help="Caffe's lists of images and labels.",
    epilog="Example: caffeflow prepare list --train train.txt --val val.txt --root photos",
)
@click.option("--train", type=options.FILE, required=True, help="Caffe's list: a path, a space, a label.")
@click.option("--val", type=options.FILE, help="The same of the val split.")
@click.option(
    "--root", type=options.FOLDER, help="Where the paths start [default: the folder of the train list]."
)
@click.option("--labels", "class_names", type=options.FILE, help="Names of the classes, a line each.")
@build_options
def list_command(
    train: Path, val: Path | None, root: Path | None, class_names: Path | None, **build: Any
) -> None:
    """Prepare the images of Caffe's list files; the label is what follows the last space."""
    from caffeflow.data.sources.image_list import ListSettings

    _run(ListSettings(train=train, val=val, root=root, class_names=class_names), **build)


def _cifar_options(command: F) -> F:
    archive = click.option(
        "--archive", type=options.ANY_PATH, help="The binary edition's archive, or the folder it unpacks to."
    )
    download = click.option("--download", is_flag=True, help="Fetch the archive if it is not here.")
    no_md5 = click.option(
        "--no-md5", is_flag=True, help="Trust an archive that is not the official one, byte for byte."
    )
    return archive(download(no_md5(command)))


@command.command(
    "cifar10",
    short_help="CIFAR-10 from its binary edition.",
    epilog="Example: caffeflow prepare cifar10 --download",
)
@_cifar_options
@build_options
def cifar10_command(archive: Path | None, download: bool, no_md5: bool, **build: Any) -> None:
    """Prepare CIFAR-10 from its binary edition; the test batch is split val."""
    from caffeflow.data.sources.cifar import CifarSettings

    source = CifarSettings(edition="cifar10", path=archive, download=download, check_md5=not no_md5)
    _run(source, **build)


@command.command(
    "cifar100",
    short_help="CIFAR-100 from its binary edition.",
    epilog="Example: caffeflow prepare cifar100 --download --coarse",
)
@_cifar_options
@click.option("--coarse", is_flag=True, help="The 20 superclasses instead of the 100 classes.")
@build_options
def cifar100_command(archive: Path | None, download: bool, no_md5: bool, coarse: bool, **build: Any) -> None:
    """Prepare CIFAR-100 from its binary edition; the test batch is split val."""
    from caffeflow.data.sources.cifar import CifarSettings

    source = CifarSettings(
        edition="cifar100", coarse=coarse, path=archive, download=download, check_md5=not no_md5
    )
    _run(source, **build)


@command.command(
    "imagenet",
    short_help="ImageNet straight from its archives.",
    epilog="Example: caffeflow prepare imagenet --dry-run --raw /data/imagenet",
)
@click.option("--raw", type=options.FOLDER, help="Folder to look in first.")
@click.option("--train", type=options.ANY_PATH, help="ILSVRC2012_img_train.tar, or the folder it unpacks to.")
@click.option("--val", type=options.ANY_PATH, help="ILSVRC2012_img_val.tar, or the folder it unpacks to.")
@click.option(
    "--val-labels",
    type=options.ANY_PATH,
    help="The devkit, caffe_ilsvrc12.tar.gz, val.txt, or LOC_val_solution.csv.",
)
@click.option("--only", type=click.Choice(["train", "val"]), help="One split only.")
@build_options
def imagenet_command(
    raw: Path | None, train: Path | None, val: Path | None, val_labels: Path | None, only: Any, **build: Any
) -> None:
    """Prepare ImageNet (ILSVRC2012) from its archives, without unpacking them, or from folders.

    Images are squashed to 256x256, as Caffe's recipe does; --resize none keeps their sizes. What is not
    named is looked for in ./, data/raw/ and $CAFFEFLOW_DATA.
    """
    from caffeflow.data.sources.imagenet import ImagenetSettings

    source = click.get_current_context().get_parameter_source("resize")
    if source is click.core.ParameterSource.DEFAULT and build["short_side"] is None:
        build["resize"] = (256, 256)
    _run(ImagenetSettings(folder=raw, train=train, val=val, val_labels=val_labels, only=only), **build)


def _detection_options(command: F) -> F:
    labelmap = click.option(
        "--labelmap",
        type=options.FILE,
        help="A labelmap.prototxt [default: made from the classes that occur].",
    )
    fraction = click.option(
        "--val-fraction", type=float, metavar="F", help="Hold this share of the images back as val."
    )
    return labelmap(fraction(command))


@command.command(
    "voc",
    short_help="PASCAL VOC, and your own data in its layout.",
    epilog="Example: caffeflow prepare voc VOCdevkit --train-sets 2007:trainval --val-sets 2007:test",
)
@click.argument("roots", metavar="[ROOT]...", nargs=-1, type=options.ANY_PATH)
@click.option("--images", type=options.FOLDER, help="In place of ROOT: a folder of images,")
@click.option("--annotations", type=options.FOLDER, help="and the folder of their XML files.")
@click.option(
    "--train-sets",
    callback=_names,
    metavar="[EDITION:]SET,...",
    help="Image sets of train [default: trainval where test is val, else train].",
)
@click.option(
    "--val-sets",
    callback=_names,
    metavar="[EDITION:]SET,...",
    help="Image sets of val [default: test where it has boxes, else val].",
)
@_detection_options
@build_options
def voc_command(
    roots: tuple[Path, ...],
    images: Path | None,
    annotations: Path | None,
    train_sets: tuple[str, ...],
    val_sets: tuple[str, ...],
    labelmap: Path | None,
    val_fraction: float | None,
    **build: Any,
) -> None:
    """Prepare images with boxes in VOC's layout: JPEGImages, Annotations and ImageSets/Main.

    Each ROOT is such a folder, one above (VOCdevkit), or a .tar or .zip of it, read in place. Without any,
    VOC2007 and VOC2012 are looked for in ./, data/raw/ and $CAFFEFLOW_DATA.
    """
    from caffeflow.data.sources.voc import VocSettings

    source = VocSettings(
        roots=roots,
        images=images,
        annotations=annotations,
        train_sets=train_sets,
        val_sets=val_sets,
        labelmap=labelmap,
        val_fraction=val_fraction,
        seed=build["seed"],
    )
    _run(source, **build)


def _run(
    source: Source, *, out_dir: Path | None, name: str | None, dry_run: bool, as_json: bool, **settings: Any
) -> None:
    """Prepares, or previews, and prints the outcome."""
    from caffeflow.cli import prepare_report
    from caffeflow.cli.prepare_watch import watcher
    from caffeflow.data.settings import BuildSettings
    from caffeflow.workflows import prepare as workflow

    folder = _named_folder(name, workflow.DATA_DIR) if name is not None else None
    if folder and out_dir:
        raise UsageError(f"--name {name} means --out {folder}, and --out is {out_dir}; give one of them")
    request = workflow.Request(source=source, settings=BuildSettings(**settings), out_dir=out_dir or folder)
    with watcher() as watch:
        outcome = (workflow.preview if dry_run else workflow.prepare)(request, watch)
    if as_json:
        console.json(prepare_report.as_json(outcome))
    else:
        console.result(prepare_report.render(outcome))


def _named_folder(name: str, data_dir: Path) -> Path:
    if name in ("", ".", "..") or "/" in name:
        raise UsageError(f"--name '{name}': expected the name of a folder in {data_dir}/; --out takes a path")
    return data_dir / name
