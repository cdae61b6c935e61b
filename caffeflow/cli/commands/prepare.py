"""`caffeflow prepare`: from raw images to a dataset folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from caffeflow.cli import console, options, prepare_options
from caffeflow.cli.prepare_options import F
from caffeflow.errors import UsageError

if TYPE_CHECKING:
    from caffeflow.workflows.prepare import Source


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
@prepare_options.build_options
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
@prepare_options.build_options
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
@prepare_options.build_options
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
@prepare_options.build_options
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
@prepare_options.build_options
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
    callback=prepare_options.names,
    metavar="[EDITION:]SET,...",
    help="Image sets of train [default: trainval where test is val, else train].",
)
@click.option(
    "--val-sets",
    callback=prepare_options.names,
    metavar="[EDITION:]SET,...",
    help="Image sets of val [default: test where it has boxes, else val].",
)
@prepare_options.labelmap
@prepare_options.hold_back
@prepare_options.build_options
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


@command.command(
    "coco",
    short_help="COCO 2014 or 2017, and your own data in its form.",
    epilog="Example: caffeflow prepare coco --only val --limit 100 --name coco-trial",
)
@click.argument("root", required=False, type=options.FOLDER)
@click.option("--year", type=click.Choice(["2017", "2014"]), help="Edition [default: the one that is here].")
@click.option("--train-json", type=options.FILE, help="Your own file of boxes in COCO's form,")
@click.option("--train-images", type=options.ANY_PATH, help="and its images: a folder, a .zip or a .tar.")
@click.option("--val-json", type=options.FILE, help="The same of the val split.")
@click.option("--val-images", type=options.ANY_PATH, help="Images of --val-json.")
@click.option("--only", type=click.Choice(["train", "val"]), help="One split only.")
@click.option("--merge", is_flag=True, help="Images of val go to train as well.")
@click.option(
    "--coco-ids",
    type=click.Choice(["80", "91"]),
    default="80",
    show_default=True,
    help="80: labels 1 to 80; 91: COCO's category ids, as the published SSDLite has them.",
)
@prepare_options.labelmap
@prepare_options.keep_empty
@prepare_options.hold_back
@prepare_options.build_options
def coco_command(
    root: Path | None,
    year: Any,
    train_json: Path | None,
    train_images: Path | None,
    val_json: Path | None,
    val_images: Path | None,
    only: Any,
    merge: bool,
    coco_ids: str,
    labelmap: Path | None,
    keep_empty: bool | None,
    val_fraction: float | None,
    **build: Any,
) -> None:
    """Prepare COCO from its zips, which are read in place, or from folders.

    The files are looked for in ROOT, ./, data/raw/ and $CAFFEFLOW_DATA. Crowds are difficult boxes.
    """
    from caffeflow.data.coco_files import CocoSettings

    source = CocoSettings(
        root=root,
        year=year,
        train_json=train_json,
        train_images=train_images,
        val_json=val_json,
        val_images=val_images,
        only=only,
        merge=merge,
        coco_ids=91 if coco_ids == "91" else 80,
        labelmap=labelmap,
        keep_empty=keep_empty,
        val_fraction=val_fraction,
        seed=build["seed"],
    )
    _run(source, **build)


@command.command(
    "kitti",
    short_help="KITTI's objects in images.",
    epilog="Example: caffeflow prepare kitti --classes-kept Car,Pedestrian --merge-class Van=Car",
)
@click.argument("root", required=False, type=options.FOLDER)
@click.option(
    "--classes-kept",
    "classes",
    callback=prepare_options.names,
    metavar="NAME,...",
    help="Classes, in the order of their labels [default: Car,Pedestrian,Cyclist].",
)
@click.option(
    "--merge-class",
    "merges",
    multiple=True,
    metavar="A=B",
    help="Take A for B; may be repeated; none for none [default: Van=Car, Person_sitting=Pedestrian].",
)
@click.option("--write-sets", is_flag=True, help="Write ImageSets/ into ROOT too, not only into the dataset.")
@prepare_options.labelmap
@prepare_options.keep_empty
@click.option(
    "--val-fraction",
    type=float,
    metavar="F",
    help="Share of the images that is val [default: by ROOT/ImageSets, else 0.2].",
)
@prepare_options.build_options
def kitti_command(
    root: Path | None,
    classes: tuple[str, ...],
    merges: tuple[str, ...],
    write_sets: bool,
    labelmap: Path | None,
    keep_empty: bool | None,
    val_fraction: float | None,
    **build: Any,
) -> None:
    """Prepare KITTI's 2-D boxes from training/image_2 and training/label_2, or from their two zips.

    KITTI has no val split: one is drawn by --seed and kept as ImageSets/{trainval,train,val}.txt. The files
    are looked for in ROOT, ./, data/raw/ and $CAFFEFLOW_DATA.
    """
    from caffeflow.data.sources.kitti import KittiSettings

    source = KittiSettings(
        root=root,
        classes=classes,
        merge_classes=() if merges == ("none",) else merges or None,
        labelmap=labelmap,
        keep_empty=keep_empty,
        val_fraction=val_fraction,
        write_sets=write_sets,
        seed=build["seed"],
    )
    _run(source, **build)


def _run(
    source: Source, *, out_dir: Path | None, name: str | None, dry_run: bool, as_json: bool, **settings: Any
) -> None:
    """Prepares, or previews, and prints the outcome."""
    from caffeflow.cli import prepare_report
    from caffeflow.cli.augment_options import take_augmentation
    from caffeflow.cli.prepare_watch import watcher
    from caffeflow.data.settings import BuildSettings
    from caffeflow.workflows import prepare as workflow

    folder = _named_folder(name, workflow.DATA_DIR) if name is not None else None
    if folder and out_dir and folder != out_dir:
        raise UsageError(f"--name {name} means --out {folder}, and --out is {out_dir}; give one of them")
    augmentation = take_augmentation(settings)
    asked = BuildSettings(**settings, augmentation=augmentation)
    request = workflow.Request(source=source, settings=asked, out_dir=out_dir or folder)
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
